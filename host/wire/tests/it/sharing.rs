//! Many clients, one backend: each sees what it would see on a connection of its own.

use std::sync::Arc;

use futures_util::{FutureExt, future::join_all};

use crate::stand::{Stand, pid};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_clients_and_the_db_share_one_backend() {
    let stand = Arc::new(Stand::new().await);
    assert!(stand.backends().await.is_empty(), "lazy");
    let first = stand.client().await;
    let backend = pid(&first).await;
    assert_eq!(stand.db_pid().await, backend);
    first
        .batch_execute("CREATE TABLE item (id int PRIMARY KEY, by text)")
        .await
        .unwrap();

    // The same names of statements, parameters of its own each, and transactions in between.
    let tasks = (0..16_i32).map(|number| {
        let stand = stand.clone();
        tokio::spawn(async move {
            let mut client = stand.client().await;
            let echo = client
                .prepare("SELECT $1::int + $2::int, pg_backend_pid()")
                .await
                .unwrap();
            for round in 0..40_i32 {
                let row = client
                    .query_one(&echo, &[&number, &(round * 100)])
                    .await
                    .unwrap();
                assert_eq!(
                    (row.get::<_, i32>(0), row.get::<_, i32>(1)),
                    (number + round * 100, backend)
                );
                if round % 8 == 0 {
                    let id = number * 1000 + round;
                    let tx = client.transaction().await.unwrap();
                    tx.execute("INSERT INTO item VALUES ($1, $2)", &[&id, &"tx"])
                        .await
                        .unwrap();
                    let seen = tx
                        .query_one("SELECT count(*) FROM item WHERE id = $1", &[&id])
                        .await
                        .unwrap();
                    assert_eq!(seen.get::<_, i64>(0), 1);
                    if round % 16 == 0 {
                        tx.commit().await.unwrap()
                    } else {
                        tx.rollback().await.unwrap()
                    }
                }
                let wrong = client
                    .query("SELECT 1 / $1::int", &[&0_i32])
                    .await
                    .unwrap_err();
                assert_eq!(wrong.code().unwrap().code(), "22012");
            }
        })
    });
    let through_db = (0..200_i32).map(|n| {
        let stand = stand.clone();
        tokio::spawn(async move {
            let row = stand
                .db
                .query_one("SELECT $1::int, pg_backend_pid()", &[&n])
                .await
                .unwrap();
            assert_eq!((row.get::<_, i32>(0), row.get::<_, i32>(1)), (n, backend));
            if n % 20 == 0 {
                let done = stand
                    .db
                    .transaction(|tx| {
                        async move {
                            tx.execute("INSERT INTO item VALUES ($1, 'db')", &[&(100_000 + n)])
                                .await
                        }
                        .boxed()
                    })
                    .await;
                assert_eq!(done.unwrap(), 1);
            }
        })
    });
    let all: Vec<_> = tasks.chain(through_db).collect();
    for done in join_all(all).await {
        done.unwrap();
    }
    assert_eq!(stand.backends().await, [backend]);
    let count = first
        .query_one("SELECT count(*) FROM item", &[])
        .await
        .unwrap();
    assert_eq!(count.get::<_, i64>(0), 16 * 3 + 10);
}

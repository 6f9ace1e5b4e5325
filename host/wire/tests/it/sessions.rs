//! What belongs to a session: settings, channels, locks, temporary tables. Each client has its own.

use std::time::Duration;

use futures_util::{StreamExt, future::poll_fn, stream};
use tokio_postgres::{AsyncMessage, Client, NoTls};

use test_postgres::eventually;

use crate::stand::{Stand, pid};

async fn setting(client: &Client, name: &str) -> Option<String> {
    let sql = "SELECT current_setting($1, true)";
    client.query_one(sql, &[&name]).await.unwrap().get(0)
}

#[tokio::test]
async fn settings_stay_with_the_client_that_set_them() {
    let stand = Stand::new().await;
    let (one, two) = (stand.client().await, stand.client().await);
    let backend = pid(&one).await;
    let default = setting(&two, "search_path").await;

    one.batch_execute("SET search_path TO a, \"B c\"; SET my.own = 'it''s \\'")
        .await
        .unwrap();
    one.query("SELECT set_config($1, 'Asia/Tokyo', false)", &[&"TimeZone"])
        .await
        .unwrap();
    one.query("SELECT set_config('work_mem', '7MB', false)", &[])
        .await
        .unwrap();
    one.batch_execute("BEGIN; SET work_mem = '9MB'; ROLLBACK")
        .await
        .unwrap();
    two.batch_execute("SET TIME ZONE 'UTC'; SET LOCAL work_mem = '11MB'")
        .await
        .unwrap();
    for _ in 0..3 {
        assert_eq!(setting(&one, "search_path").await.unwrap(), "a, \"B c\"");
        assert_eq!(setting(&one, "my.own").await.unwrap(), "it's \\");
        assert_eq!(setting(&one, "work_mem").await.unwrap(), "7MB");
        assert_eq!(setting(&two, "search_path").await, default);
        assert_eq!(setting(&two, "my.own").await.unwrap_or_default(), "");
        assert_eq!(setting(&two, "TimeZone").await.unwrap(), "UTC");
        assert_eq!(setting(&two, "work_mem").await.unwrap(), "4MB");
        let db = stand
            .db
            .query_one("SELECT current_setting('search_path')", &[]);
        assert_eq!(db.await.unwrap().get::<_, Option<String>>(0), default);
    }
    // The name was a parameter, so that only what is known to be set is looked up.
    one.batch_execute("RESET search_path").await.unwrap();
    assert_eq!(setting(&two, "TimeZone").await.unwrap(), "UTC");
    assert_eq!(setting(&one, "search_path").await, default);
    one.batch_execute("DISCARD ALL").await.unwrap();
    assert_eq!(setting(&one, "work_mem").await.unwrap(), "4MB");

    // What cannot be known from the text does not reach others either.
    one.batch_execute("SELECT set_config('search' || '_path', 'hidden', false)")
        .await
        .unwrap();
    assert_eq!(setting(&two, "search_path").await, default);

    // Roles too, which RESET ALL leaves alone.
    one.batch_execute("SET ROLE plain").await.unwrap();
    let user = async |client: &Client| -> String {
        client
            .query_one("SELECT current_user::text", &[])
            .await
            .unwrap()
            .get(0)
    };
    assert_eq!(
        (user(&one).await, user(&two).await),
        ("plain".into(), "postgres".into())
    );
    one.batch_execute("RESET ROLE").await.unwrap();
    assert_eq!(
        (user(&one).await, user(&two).await),
        ("postgres".into(), "postgres".into())
    );
    assert_eq!(stand.backends().await, [backend]);
}

#[tokio::test]
async fn a_client_starts_with_the_settings_that_it_asks_for() {
    let stand = Stand::new().await;
    let plain = stand.client().await;
    let settings = stand
        .settings()
        .options("-c timezone=Asia/Tokyo -c work_mem=6MB")
        .application_name("mine")
        .to_owned();
    let (client, connection) = settings.connect(NoTls).await.unwrap();
    assert_eq!(connection.parameter("TimeZone"), Some("Asia/Tokyo"));
    assert_eq!(connection.parameter("application_name"), Some("mine"));
    assert!(connection.parameter("server_version").is_some());
    tokio::spawn(connection);
    assert_eq!(setting(&client, "work_mem").await.unwrap(), "6MB");
    assert_eq!(setting(&plain, "work_mem").await.unwrap(), "4MB");
    let status = stand.exchange.clients();
    assert_eq!(status[1].name, "mine");
    assert!(
        status[1].units > 0 && !status[1].waits && !status[1].holds,
        "{status:?}"
    );

    let wrong = stand.settings().options("-c work_mem=much").to_owned();
    let error = wrong.connect(NoTls).await.err().unwrap();
    assert!(
        error.to_string().contains("work_mem") || format!("{error:?}").contains("work_mem"),
        "{error:?}"
    );
    let other = stand.settings().dbname("other").to_owned();
    let error = other.connect(NoTls).await.err().unwrap();
    assert_eq!(error.code().unwrap().code(), "3D000");
    let other = stand.settings().user("other").to_owned();
    let error = other.connect(NoTls).await.err().unwrap();
    assert_eq!(error.code().unwrap().code(), "28000");
    assert_eq!(setting(&client, "work_mem").await.unwrap(), "6MB");
}

/// A client whose notifications are collected.
async fn listener(stand: &Stand) -> (Client, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let (client, mut connection) = stand.settings().connect(NoTls).await.unwrap();
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(note) = message {
                drop(tell.send(format!("{}:{}", note.channel(), note.payload())));
            }
        }
        poll_fn(|_| std::task::Poll::Ready(())).await;
    });
    (client, told)
}

#[tokio::test]
async fn notifications_reach_those_who_listen() {
    let stand = Stand::new().await;
    let ((one, mut to_one), (two, mut to_two)) = (listener(&stand).await, listener(&stand).await);
    let backend = pid(&one).await;
    one.batch_execute("LISTEN news").await.unwrap();
    two.batch_execute("LISTEN News; LISTEN \"Other\"")
        .await
        .unwrap();
    let notify = async |channel: &str, payload: &str| {
        stand
            .db
            .query("SELECT pg_notify($1, $2)", &[&channel, &payload])
            .await
            .unwrap();
    };
    notify("news", "1").await;
    notify("Other", "2").await;
    assert_eq!(to_one.recv().await.unwrap(), "news:1");
    assert_eq!(to_two.recv().await.unwrap(), "news:1");
    assert_eq!(to_two.recv().await.unwrap(), "Other:2");

    // One stops, the other goes on.
    one.batch_execute("UNLISTEN *").await.unwrap();
    notify("news", "3").await;
    assert_eq!(to_two.recv().await.unwrap(), "news:3");
    one.batch_execute("LISTEN Again").await.unwrap();
    notify("again", "4").await;
    assert_eq!(
        to_one.recv().await.unwrap(),
        "again:4",
        "and nothing before"
    );

    // The Db's own cleaning leaves the channels of others.
    let checkout = stand.db.checkout().await.unwrap();
    checkout
        .client()
        .batch_execute("LISTEN mine")
        .await
        .unwrap();
    drop(checkout);
    notify("news", "5").await;
    assert_eq!(to_two.recv().await.unwrap(), "news:5");
    drop(two);
    let channels = async || {
        let rows = stand
            .db
            .query("SELECT pg_listening_channels()", &[])
            .await
            .unwrap();
        let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        (names == ["again"]).then_some(())
    };
    eventually("the channels of those who are there", channels).await;
    assert_eq!(stand.backends().await, [backend]);
}

#[tokio::test]
async fn what_lasts_as_long_as_a_session_has_one_of_its_own() {
    let stand = Stand::new().await;
    let (one, two) = (stand.client().await, stand.client().await);
    let shared = pid(&two).await;
    let count = one
        .prepare("SELECT count(*) FROM pg_class WHERE relname = $1")
        .await
        .unwrap();
    let exists = async |client: &Client, name: &str| {
        let sql = "SELECT count(*) FROM pg_class WHERE relname = $1 AND relnamespace = pg_my_temp_schema()";
        client
            .query_one(sql, &[&name])
            .await
            .unwrap()
            .get::<_, i64>(0)
            > 0
    };
    for (make, unmake, keeps) in [
        (
            "CREATE TEMP TABLE t (a int)",
            "DROP TABLE t",
            "a temporary table",
        ),
        (
            "SELECT pg_advisory_lock(7)",
            "SELECT pg_advisory_unlock(7)",
            "a session advisory lock",
        ),
        (
            "PREPARE p AS SELECT 1",
            "DEALLOCATE p",
            "a statement made with PREPARE",
        ),
        (
            "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
            "CLOSE c",
            "a cursor WITH HOLD",
        ),
    ] {
        one.batch_execute(make).await.unwrap();
        let own = pid(&one).await;
        assert_ne!(own, shared, "{make}");
        assert_eq!(stand.backends().await, [shared, own], "{make}");
        assert_eq!(stand.exchange.clients()[0].keeps, Some(keeps));
        // It takes its statements along, and the others have their own connection.
        assert_eq!(
            one.query_one(&count, &[&"nothing"])
                .await
                .unwrap()
                .get::<_, i64>(0),
            0
        );
        assert_eq!(exists(&one, "t").await, make.contains("TEMP"));
        assert!(!exists(&two, "t").await);
        assert_eq!(pid(&two).await, shared);
        one.batch_execute(unmake).await.unwrap();
        assert_eq!(pid(&one).await, shared, "{unmake}");
        stand.has_only(shared).await;
        assert_eq!(
            one.query_one(&count, &[&"nothing"])
                .await
                .unwrap()
                .get::<_, i64>(0),
            0
        );
    }

    // Two locks on the same key exclude each other, as they would on connections of their own.
    one.batch_execute("SELECT pg_advisory_lock(7)")
        .await
        .unwrap();
    let free: bool = two
        .query_one("SELECT pg_try_advisory_lock(7)", &[])
        .await
        .unwrap()
        .get(0);
    assert!(!free);
    drop(one);
    eventually("the lock", async || {
        let got: bool = two
            .query_one("SELECT pg_try_advisory_lock(7)", &[])
            .await
            .unwrap()
            .get(0);
        got.then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_temporary_table_made_in_a_transaction_keeps_its_session() {
    let stand = Stand::new().await;
    let (mut one, two) = (stand.client().await, stand.client().await);
    let before = pid(&two).await;
    stand.db.query("SELECT 1", &[]).await.unwrap();
    let tx = one.transaction().await.unwrap();
    tx.batch_execute("CREATE TEMP TABLE gone (a int) ON COMMIT DROP")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(pid(&one).await, before, "nothing is left");

    let tx = one.transaction().await.unwrap();
    tx.batch_execute("CREATE TEMP TABLE kept (a int)")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    one.batch_execute("INSERT INTO kept VALUES (1)")
        .await
        .unwrap();
    assert_eq!(pid(&one).await, before);
    assert_ne!(pid(&two).await, before);
    assert_eq!(stand.db_pid().await, pid(&two).await);
    assert!(two.query("SELECT FROM kept", &[]).await.is_err());
    one.batch_execute("DROP TABLE kept").await.unwrap();
    assert_eq!(pid(&one).await, pid(&two).await);
    eventually("one backend", async || {
        (stand.backends().await.len() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn statements_survive_what_makes_the_session_forget_them() {
    let stand = Stand::new().await;
    let (one, two) = (stand.client().await, stand.client().await);
    let backend = pid(&one).await;
    let of_one = one.prepare("SELECT $1::int").await.unwrap();
    let of_two = two.prepare("SELECT $1::text").await.unwrap();
    for forget in ["DEALLOCATE ALL", "DISCARD ALL"] {
        one.batch_execute(forget).await.unwrap();
        assert_eq!(
            two.query_one(&of_two, &[&"a"])
                .await
                .unwrap()
                .get::<_, &str>(0),
            "a"
        );
        let gone = one.query_one(&of_one, &[&1_i32]).await.unwrap_err();
        assert_eq!(
            gone.code().unwrap().code(),
            "26000",
            "its own are gone, as it asked"
        );
        let db = stand
            .db
            .query_one("SELECT $1::bigint", &[&7_i64])
            .await
            .unwrap();
        assert_eq!(db.get::<_, i64>(0), 7);
    }
    drop(of_two);
    drop((one, two));
    let known = async || {
        let rows = stand
            .db
            .query(
                "SELECT name FROM pg_prepared_statements WHERE name ~ '^c[0-9]+_s'",
                &[],
            )
            .await
            .unwrap();
        let own = rows.iter().filter(|row| {
            row.get::<_, &str>(0).starts_with("c1_") || row.get::<_, &str>(0).starts_with("c3_")
        });
        (own.count() == 0).then_some(())
    };
    eventually("the statements of those who left to be forgotten", known).await;
    assert_eq!(stand.backends().await, [backend]);
    tokio::time::timeout(Duration::from_secs(30), stand.exchange.close())
        .await
        .unwrap();
}

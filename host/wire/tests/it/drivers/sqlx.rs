//! sqlx, with its own pool.

use std::{fs, future::pending};

use ::sqlx::{
    AssertSqlSafe, PgPool, Row,
    migrate::Migrator,
    postgres::{PgListener, PgPoolCopyExt, PgPoolOptions},
    query, query_scalar,
};
use futures_util::TryStreamExt;
use test_postgres::eventually;

use super::{Driver, Midst, Outcome, generations};
use crate::stand::{Stand, pid};

impl Driver for PgPool {
    async fn open(url: &str, size: u32) -> Outcome<Self> {
        Ok(PgPoolOptions::new()
            .max_connections(size)
            .connect(url)
            .await?)
    }

    async fn read(&self, marker: i64) -> Outcome<i64> {
        Ok(query_scalar("SELECT $1::int8")
            .bind(marker)
            .fetch_one(self)
            .await?)
    }

    async fn write(&self, marker: i64) -> Outcome<i64> {
        let sql = "INSERT INTO item VALUES ($1) RETURNING marker";
        Ok(query_scalar(sql).bind(marker).fetch_one(self).await?)
    }

    async fn transaction(&self, marker: i64, commits: bool) -> Outcome<i64> {
        let mut tx = Self::begin(self).await?;
        query("INSERT INTO item VALUES ($1)")
            .bind(marker)
            .execute(&mut *tx)
            .await?;
        let sql = "SELECT marker FROM item WHERE marker = $1";
        let row = query(sql).bind(marker).fetch_one(&mut *tx).await?;
        match commits {
            true => tx.commit().await?,
            false => tx.rollback().await?,
        }
        Ok(row.get(0))
    }

    async fn begin(&self, midst: Midst, sql: String) -> Outcome<()> {
        match midst {
            Midst::Statement => {
                query(AssertSqlSafe(sql)).execute(self).await?;
            }
            Midst::Transaction => {
                let mut tx = Self::begin(self).await?;
                query(AssertSqlSafe(sql)).execute(&mut *tx).await?;
                pending::<()>().await;
            }
            Midst::Copy => {
                let mut copy = self.copy_in_raw(&sql).await?;
                copy.send(&b"-2\n"[..]).await?;
                pending::<()>().await;
            }
            Midst::Result => {
                let mut rows = query(AssertSqlSafe(sql)).fetch(self);
                rows.try_next().await?;
                pending::<()>().await;
            }
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generations_with_sqlx_share_one_backend() {
    generations::<PgPool>(&[
        Midst::Statement,
        Midst::Transaction,
        Midst::Copy,
        Midst::Result,
    ])
    .await;
}

#[tokio::test]
async fn what_sqlx_does_beside_queries_works() {
    let stand = Stand::new().await;
    let first = stand.client().await;
    let backend = pid(&first).await;
    let pool = <PgPool as Driver>::open(&stand.url(), 1).await.unwrap();

    // Its lock lasts as long as the session: for that time it has one of its own.
    let folder = tempfile::tempdir().unwrap();
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'exchange'";
    let migration = format!("CREATE TABLE seen AS {count}");
    fs::write(folder.path().join("1_seen.sql"), migration).unwrap();
    let migrator = Migrator::new(folder.path()).await.unwrap();
    for _ in 0..2 {
        migrator.run(&pool).await.unwrap();
        stand.has_only(backend).await;
    }
    let seen: i64 = query_scalar("SELECT count FROM seen")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(seen, 2);

    // A stream that nobody reads to its end.
    for n in 0..3_i64 {
        let mut rows = query("SELECT generate_series(1, 100000)").fetch(&pool);
        assert!(rows.try_next().await.unwrap().is_some());
        drop(rows);
        assert_eq!(pool.read(n).await.unwrap(), n);
    }

    let mut listener = PgListener::connect(&stand.url()).await.unwrap();
    listener.listen("news").await.unwrap();
    query("SELECT pg_notify('news', 'all is well')")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(listener.recv().await.unwrap().payload(), "all is well");
    drop(listener);
    eventually("no channel", async || {
        let channels = first.query("SELECT pg_listening_channels()", &[]).await;
        channels.unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(stand.backends().await, [backend]);
}

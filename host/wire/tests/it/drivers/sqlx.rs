//! sqlx, with its own pool.

use std::future::pending;

use ::sqlx::{
    AssertSqlSafe, PgPool, Row,
    postgres::{PgPoolCopyExt, PgPoolOptions},
    query, query_scalar,
};
use futures_util::TryStreamExt;

use super::{Driver, Midst, Outcome, generations};

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

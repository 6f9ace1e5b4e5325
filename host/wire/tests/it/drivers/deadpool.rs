//! tokio-postgres with the pool that most use with it.

use std::{future::pending, pin::pin};

use ::deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::NoTls;

use super::{Driver, Midst, Outcome, generations};

impl Driver for Pool {
    async fn open(url: &str, size: u32) -> Outcome<Self> {
        let recycling_method = RecyclingMethod::Fast;
        let manager = Manager::from_config(url.parse()?, NoTls, ManagerConfig { recycling_method });
        Ok(Self::builder(manager).max_size(size as usize).build()?)
    }

    async fn read(&self, marker: i64) -> Outcome<i64> {
        let client = self.get().await?;
        let statement = client.prepare_cached("SELECT $1::int8").await?;
        Ok(client.query_one(&statement, &[&marker]).await?.get(0))
    }

    async fn write(&self, marker: i64) -> Outcome<i64> {
        let client = self.get().await?;
        let sql = "INSERT INTO item VALUES ($1) RETURNING marker";
        let statement = client.prepare_cached(sql).await?;
        Ok(client.query_one(&statement, &[&marker]).await?.get(0))
    }

    async fn transaction(&self, marker: i64, commits: bool) -> Outcome<i64> {
        let mut client = self.get().await?;
        let tx = client.transaction().await?;
        tx.execute("INSERT INTO item VALUES ($1)", &[&marker])
            .await?;
        let row = tx
            .query_one("SELECT marker FROM item WHERE marker = $1", &[&marker])
            .await?;
        match commits {
            true => tx.commit().await?,
            false => tx.rollback().await?,
        }
        Ok(row.get(0))
    }

    async fn begin(&self, midst: Midst, sql: String) -> Outcome<()> {
        let mut client = self.get().await?;
        match midst {
            Midst::Statement | Midst::Result => drop(client.query(&sql, &[]).await?),
            Midst::Transaction => {
                let tx = client.transaction().await?;
                tx.execute(&sql, &[]).await?;
                pending::<()>().await;
            }
            Midst::Copy => {
                let mut sink = pin!(client.copy_in(&sql).await?);
                sink.send(Bytes::from_static(b"-2\n")).await?;
                pending::<()>().await;
            }
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generations_with_deadpool_share_one_backend() {
    generations::<Pool>(&[
        Midst::Statement,
        Midst::Transaction,
        Midst::Copy,
        Midst::Result,
    ])
    .await;
}

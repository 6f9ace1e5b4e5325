//! SeaORM, which brings sqlx's pool.

use std::future::pending;

use ::sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement,
    TransactionTrait,
};

use super::{Driver, Midst, Outcome, generations};

impl Driver for DatabaseConnection {
    async fn open(url: &str, size: u32) -> Outcome<Self> {
        let mut options = ConnectOptions::new(url);
        options.max_connections(size);
        Ok(Database::connect(options).await?)
    }

    async fn read(&self, marker: i64) -> Outcome<i64> {
        Ok(answer(self, "SELECT $1::int8", marker).await?)
    }

    async fn write(&self, marker: i64) -> Outcome<i64> {
        Ok(answer(
            self,
            "INSERT INTO item VALUES ($1) RETURNING marker",
            marker,
        )
        .await?)
    }

    async fn transaction(&self, marker: i64, commits: bool) -> Outcome<i64> {
        let tx = TransactionTrait::begin(self).await?;
        answer(&tx, "INSERT INTO item VALUES ($1) RETURNING marker", marker).await?;
        let answer = answer(&tx, "SELECT marker FROM item WHERE marker = $1", marker).await?;
        match commits {
            true => tx.commit().await?,
            false => tx.rollback().await?,
        }
        Ok(answer)
    }

    async fn begin(&self, midst: Midst, sql: String) -> Outcome<()> {
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        if matches!(midst, Midst::Transaction) {
            let tx = TransactionTrait::begin(self).await?;
            tx.execute_raw(statement).await?;
            pending().await
        } else {
            self.query_all_raw(statement).await?;
            Ok(())
        }
    }
}

async fn answer(on: &impl ConnectionTrait, sql: &str, marker: i64) -> Result<i64, DbErr> {
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [marker.into()]);
    let row = on.query_one_raw(statement).await?;
    row.ok_or(DbErr::RecordNotFound("a row".to_owned()))?
        .try_get_by_index(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generations_with_sea_orm_share_one_backend() {
    generations::<DatabaseConnection>(&[Midst::Statement, Midst::Transaction, Midst::Result]).await;
}

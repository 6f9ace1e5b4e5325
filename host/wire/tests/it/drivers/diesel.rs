//! diesel-async, with two of its pools.

use std::{future::pending, ops::DerefMut};

use ::diesel::{
    ExpressionMethods, IntoSql, QueryDsl,
    dsl::sql,
    result::Error::RollbackTransaction,
    select, sql_query,
    sql_types::{BigInt, Text},
};
use diesel_async::{
    AsyncConnection, AsyncPgConnection, RunQueryDsl,
    pooled_connection::{AsyncDieselConnectionManager, bb8, deadpool},
};
use tokio_postgres::NoTls;

use super::{Driver, Midst, Outcome, generations};
use crate::stand::Stand;

::diesel::table! {
    item (marker) {
        marker -> BigInt,
    }
}

macro_rules! insert {
    ($marker:expr) => {
        ::diesel::insert_into(item::table)
            .values(item::marker.eq($marker))
            .returning(item::marker)
    };
}

type Manager = AsyncDieselConnectionManager<AsyncPgConnection>;

trait Pool: Clone + Send + Sync + 'static {
    fn open(manager: Manager, size: u32) -> impl Future<Output = Outcome<Self>> + Send;
    fn connection(
        &self,
    ) -> impl Future<Output = Outcome<impl DerefMut<Target = AsyncPgConnection> + Send>> + Send;
}

impl Pool for deadpool::Pool<AsyncPgConnection> {
    async fn open(manager: Manager, size: u32) -> Outcome<Self> {
        Ok(Self::builder(manager).max_size(size as usize).build()?)
    }

    async fn connection(&self) -> Outcome<impl DerefMut<Target = AsyncPgConnection> + Send> {
        Ok(self.get().await?)
    }
}

impl Pool for bb8::Pool<AsyncPgConnection> {
    async fn open(manager: Manager, size: u32) -> Outcome<Self> {
        Ok(Self::builder().max_size(size).build(manager).await?)
    }

    async fn connection(&self) -> Outcome<impl DerefMut<Target = AsyncPgConnection> + Send> {
        Ok(self.get_owned().await?)
    }
}

#[derive(Clone)]
struct Diesel<P>(P);

impl<P: Pool> Driver for Diesel<P> {
    async fn open(url: &str, size: u32) -> Outcome<Self> {
        Ok(Self(P::open(Manager::new(url), size).await?))
    }

    async fn read(&self, marker: i64) -> Outcome<i64> {
        let mut connection = self.0.connection().await?;
        Ok(select(marker.into_sql::<BigInt>())
            .get_result(&mut *connection)
            .await?)
    }

    async fn write(&self, marker: i64) -> Outcome<i64> {
        let mut connection = self.0.connection().await?;
        Ok(insert!(marker).get_result(&mut *connection).await?)
    }

    async fn transaction(&self, marker: i64, commits: bool) -> Outcome<i64> {
        let mut connection = self.0.connection().await?;
        let mut read = None;
        let done = connection
            .transaction(async |tx| {
                insert!(marker).execute(tx).await?;
                let row = item::table.find(marker).select(item::marker);
                read = Some(row.get_result(tx).await?);
                commits.then_some(()).ok_or(RollbackTransaction)
            })
            .await;
        match (done, read) {
            (Ok(()) | Err(RollbackTransaction), Some(read)) => Ok(read),
            (done, _) => Err(done.unwrap_err().into()),
        }
    }

    async fn begin(&self, midst: Midst, sql: String) -> Outcome<()> {
        let mut connection = self.0.connection().await?;
        if matches!(midst, Midst::Transaction) {
            let held = connection.transaction(async |tx| {
                sql_query(sql).execute(tx).await?;
                pending::<Result<(), ::diesel::result::Error>>().await
            });
            held.await?;
        } else {
            sql_query(sql).execute(&mut *connection).await?;
        }
        Ok(())
    }
}

const ENDS: [Midst; 3] = [Midst::Statement, Midst::Transaction, Midst::Result];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generations_with_diesel_and_deadpool_share_one_backend() {
    generations::<Diesel<deadpool::Pool<AsyncPgConnection>>>(&ENDS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generations_with_diesel_and_bb8_share_one_backend() {
    generations::<Diesel<bb8::Pool<AsyncPgConnection>>>(&ENDS).await;
}

#[tokio::test]
async fn what_diesel_does_beside_queries_works() {
    let stand = Stand::new().await;
    let settings = stand
        .settings()
        .options("-c timezone=Asia/Tokyo")
        .to_owned();
    let (other, connection) = settings.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let connection = AsyncPgConnection::establish(&stand.url()).await.unwrap();
    // It says SET TIME ZONE when it connects, and sends what is awaited together without a wait for answers.
    for n in 0..20_i64 {
        let (mut one, mut two) = (&connection, &connection);
        let zone =
            select(sql::<Text>("current_setting('timezone')")).get_result::<String>(&mut one);
        let number = select(n.into_sql::<BigInt>()).get_result::<i64>(&mut two);
        let others = other.query_one("SELECT current_setting('timezone')", &[]);
        let (zone, number, others) = tokio::join!(zone, number, others);
        assert_eq!((&*zone.unwrap(), number.unwrap()), ("UTC", n));
        assert_eq!(others.unwrap().get::<_, &str>(0), "Asia/Tokyo");
    }
    assert_eq!(stand.backends().await.len(), 1);
}

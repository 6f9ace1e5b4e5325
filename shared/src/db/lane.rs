//! The shared lane: many statements at once on one connection.
//!
//! Owns the slot that holds the connection and the lock around it: statements read-lock it and are pipelined,
//! [`Checkout`](super::Checkout) write-locks it. The lock is fair, so neither side starves. A statement that was sent
//! is never cancelled from here, since a cancel hits whatever runs at that moment, a neighbour perhaps;
//! `statement_timeout` bounds it. Row streams and portals are not offered: an unread one would stop everybody.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, atomic::Ordering::Relaxed},
    time::Duration,
};

use deadpool_postgres::{Client as Object, Pool, PoolError};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    runtime::Handle,
    sync::{OwnedRwLockWriteGuard, RwLock as Lane, RwLockReadGuard},
};
use tokio_postgres::{Row, Statement, types::ToSql};

use super::{
    error::{DbError, is_stale},
    pool::{Counts, DbConfig, DbStatus, counted_pool},
    query::{at_most_one, one},
};

/// Parameters of a statement, `$1` first.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The database, for handlers. Cheap to clone; all clones share the connection.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    /// Gives the connection its one place; with more than one allowed it also feeds exclusive use. Beside it, the
    /// limit of waiting. Behind a lock for [`Db::replace`]; every other use copies them out.
    pool: RwLock<(Pool, Duration)>,
    /// The connection that statements share. It is taken from the pool once and stays here until it is lost or the
    /// process ends, so the pool cannot open another in its place.
    slot: Arc<Lane<Option<Object>>>,
    /// Of the process: cleaning up after an abandoned transaction must outlive the generation that abandoned it.
    pub(super) runtime: Handle,
    counts: Arc<Counts>,
}

impl Db {
    /// A database that opens nothing until the first statement.
    #[must_use]
    pub fn new(config: &DbConfig) -> Self {
        let counts = Arc::default();
        let inner = Inner {
            pool: RwLock::new((counted_pool(config, &counts), config.wait_timeout)),
            slot: Arc::default(),
            runtime: config.runtime.clone(),
            counts,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Runs a statement and returns its rows.
    ///
    /// The statement is prepared once per connection and pipelined with those of other requests. Dropping the future
    /// before it was sent sends nothing; after that the statement runs to its end and its answer is discarded.
    ///
    /// ```no_run
    /// # async fn example(db: shared::Db) -> Result<(), shared::DbError> {
    /// let rows = db.query("SELECT name FROM counter WHERE id = $1", &[&7_i64]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`DbError`]: the wait ran out, no connection could be opened, or PostgreSQL refused. When the connection is
    /// lost while the statement runs, nobody can know whether it took effect: it is not repeated.
    pub fn query<'a>(
        &'a self,
        sql: &'a str,
        params: Params<'a>,
    ) -> BoxFuture<'a, Result<Vec<Row>, DbError>> {
        async move {
            let client = self.inner.shared().await?;
            match client
                .query(&client.prepare_cached(sql).await?, params)
                .await
            {
                Err(error) if is_stale(&error) => Ok(client
                    .query(&prepare_anew(&client, sql).await?, params)
                    .await?),
                result => Ok(result?),
            }
        }
        .boxed()
    }

    /// Like [`query`](Self::query), for exactly one row.
    ///
    /// # Errors
    ///
    /// As `query`, and [`DbError::Rows`] for none or several.
    pub fn query_one<'a>(
        &'a self,
        sql: &'a str,
        params: Params<'a>,
    ) -> BoxFuture<'a, Result<Row, DbError>> {
        async move { one(self.query(sql, params).await?) }.boxed()
    }

    /// Like [`query`](Self::query), for at most one row.
    ///
    /// # Errors
    ///
    /// As `query`, and [`DbError::Rows`] for several.
    pub fn query_opt<'a>(
        &'a self,
        sql: &'a str,
        params: Params<'a>,
    ) -> BoxFuture<'a, Result<Option<Row>, DbError>> {
        async move { at_most_one(self.query(sql, params).await?) }.boxed()
    }

    /// Runs a statement and returns the number of rows it changed. Otherwise like [`query`](Self::query).
    ///
    /// # Errors
    ///
    /// As `query`.
    pub fn execute<'a>(
        &'a self,
        sql: &'a str,
        params: Params<'a>,
    ) -> BoxFuture<'a, Result<u64, DbError>> {
        async move {
            let client = self.inner.shared().await?;
            match client
                .execute(&client.prepare_cached(sql).await?, params)
                .await
            {
                Err(error) if is_stale(&error) => Ok(client
                    .execute(&prepare_anew(&client, sql).await?, params)
                    .await?),
                result => Ok(result?),
            }
        }
        .boxed()
    }

    /// The pool from inside. Asks nothing of PostgreSQL.
    #[must_use]
    pub fn status(&self) -> DbStatus {
        let (pool, counts) = (self.inner.pool().status(), &self.inner.counts);
        let opened_total = counts.opened.load(Relaxed);
        let backend_pid = (opened_total > 0).then(|| counts.backend_pid.load(Relaxed));
        DbStatus {
            max: pool.max_size,
            size: pool.size,
            opened_total,
            backend_pid,
        }
    }

    /// Forgets every prepared statement: their plans may be of another schema, and their texts of code that is gone.
    pub fn forget_statements(&self) {
        self.inner.pool().manager().statement_caches.clear();
    }

    /// Uses another pool from now on, for every clone of this `Db`, and closes the one before.
    ///
    /// Waits until the statements under way are answered; those that come meanwhile wait and run on the new one.
    /// With more than one connection, transactions under way go on beside the new pool until they end.
    ///
    /// # Errors
    ///
    /// [`DbError::Wait`] if somebody holds the connection alone for too long; nothing has changed then.
    pub async fn replace(&self, config: &DbConfig) -> Result<(), DbError> {
        let inner = &self.inner;
        let mut slot = inner.within(async { Ok(inner.slot.write().await) }).await?;
        let next = (counted_pool(config, &inner.counts), config.wait_timeout);
        let (before, _) = std::mem::replace(
            &mut *inner.pool.write().unwrap_or_else(PoisonError::into_inner),
            next,
        );
        // Its connection goes before the new pool can open one.
        *slot = None;
        before.close();
        Ok(())
    }

    /// Closes the connection once those who use it are done, and opens no other.
    ///
    /// Waits at most `DATABASE_WAIT_TIMEOUT_MS`, then leaves the rest to the end of the process.
    pub async fn close(&self) {
        self.inner.pool().close();
        if let Ok(mut slot) =
            tokio::time::timeout(self.inner.wait_limit(), self.inner.slot.write()).await
        {
            *slot = None;
        }
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }
}

impl Inner {
    /// The pool of now.
    pub(super) fn pool(&self) -> Pool {
        self.pool
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .clone()
    }

    fn wait_limit(&self) -> Duration {
        self.pool.read().unwrap_or_else(PoisonError::into_inner).1
    }

    /// The open connection, shared.
    async fn shared(&self) -> Result<RwLockReadGuard<'_, Object>, DbError> {
        self.within(async {
            loop {
                let slot = self.slot.read().await;
                if let Ok(client) = RwLockReadGuard::try_map(slot, |slot| {
                    slot.as_ref().filter(|client| !client.is_closed())
                }) {
                    return Ok(client);
                }
                self.open(&mut *self.slot.write().await).await?;
            }
        })
        .await
    }

    /// The open connection, alone.
    pub(super) async fn alone(&self) -> Result<OwnedRwLockWriteGuard<Option<Object>>, DbError> {
        self.within(async {
            let mut slot = self.slot.clone().write_owned().await;
            self.open(&mut slot).await?;
            Ok(slot)
        })
        .await
    }

    /// Opens the connection unless another waiter has done so meanwhile: one reconnect for all who wait.
    async fn open(&self, slot: &mut Option<Object>) -> Result<(), DbError> {
        if slot.as_ref().is_some_and(|client| !client.is_closed()) {
            return Ok(());
        }
        // The closed one leaves the pool first, or the limit of one would not let a new one in.
        if let Some(closed) = slot.take() {
            drop(Object::take(closed));
        }
        *slot = Some(self.pool().get().await.map_err(DbError::Connect)?);
        Ok(())
    }

    /// Bounds a wait for the connection; opening it has limits of its own within.
    pub(super) async fn within<T>(
        &self,
        wait: impl Future<Output = Result<T, DbError>>,
    ) -> Result<T, DbError> {
        let limit = self.wait_limit();
        match tokio::time::timeout(limit, wait).await {
            Ok(Err(DbError::Connect(PoolError::Timeout(deadpool_postgres::TimeoutType::Wait))))
            | Err(_) => Err(DbError::Wait { limit }),
            Ok(result) => result,
        }
    }
}

/// For a statement whose plan became stale under DDL. The server raises that before it runs anything, so repeating is
/// safe here, outside a transaction.
async fn prepare_anew(client: &Object, sql: &str) -> Result<Statement, tokio_postgres::Error> {
    client.statement_cache.remove(sql, &[]);
    client.prepare_cached(sql).await
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db")
            .field("status", &self.status())
            .finish()
    }
}

//! The exclusive side: one holder has a connection to itself.
//!
//! Owns what happens when the holder goes away in the middle: its abandoned statement is cancelled at the server and
//! its transaction rolled back BEFORE anyone else gets the connection, on the runtime of the process, since the
//! holder's own may be ending. With more than one connection allowed, holders use the others and the shared lane
//! keeps its own.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use deadpool_postgres::Client as Object;
use futures_util::future::BoxFuture;
use tokio::{runtime::Handle, sync::OwnedRwLockWriteGuard};
use tokio_postgres::Row;

use super::{
    clean::clean_up,
    error::{DbError, is_stale},
    lane::{Db, Params},
    query::{Query, at_most_one, one},
};

/// How long cleaning up may take before the connection is given up and replaced.
const CLEAN_UP_LIMIT: Duration = Duration::from_secs(5);

impl Db {
    /// Runs `work` in a transaction: committed if it returns `Ok`, rolled back if it fails, panics or is dropped.
    ///
    /// ```no_run
    /// # use futures_util::FutureExt;
    /// # async fn example(db: shared::Db) -> Result<(), shared::DbError> {
    /// let total = db.transaction(|tx| async move {
    ///     tx.execute("INSERT INTO increment (counter_id) VALUES ($1)", &[&7_i64]).await?;
    ///     let row = tx.query_one("SELECT count(*) FROM increment", &[]).await?;
    ///     Ok::<i64, shared::DbError>(row.get(0))
    /// }.boxed()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// Do not use `db` itself inside `work`: it would wait for the connection that this transaction holds.
    ///
    /// # Errors
    ///
    /// What `work` returned, or a [`DbError`] of waiting, `BEGIN` or `COMMIT`.
    pub async fn transaction<T, E>(
        &self,
        work: impl for<'t> FnOnce(&'t Transaction) -> BoxFuture<'t, Result<T, E>>,
    ) -> Result<T, E>
    where
        E: From<DbError>,
    {
        let tx = self.begin().await?;
        // On `Err`, as on a panic or a drop, `tx` goes out of scope unfinished and its checkout rolls back.
        let value = work(&tx).await?;
        tx.commit().await?;
        Ok(value)
    }

    /// Takes a connection for LISTEN, COPY, cursors, `SET`: anything that leaves a mark on the session.
    ///
    /// # Errors
    ///
    /// [`DbError::Wait`] or [`DbError::Connect`].
    pub async fn checkout(&self) -> Result<Checkout, DbError> {
        let inner = self.inner();
        let held = if inner.pool().status().max_size > 1 {
            let pooled = inner.within(async { inner.pool().get().await.map_err(DbError::Connect) });
            Held::Pooled(Box::new(pooled.await?))
        } else {
            Held::Slot(inner.alone().await?)
        };
        Ok(Checkout {
            held: Some(held),
            running: AtomicUsize::new(0),
            clean: false,
            raw: true,
            runtime: inner.runtime.clone(),
        })
    }

    async fn begin(&self) -> Result<Transaction, DbError> {
        let mut checkout = self.checkout().await?;
        checkout.raw = false;
        checkout
            .run(checkout.client().batch_execute("BEGIN"))
            .await?;
        Ok(Transaction { checkout })
    }
}

enum Held {
    /// The shared connection, with everybody else kept out by this guard.
    Slot(OwnedRwLockWriteGuard<Option<Object>>),
    /// Another connection of a pool that may have several.
    Pooled(Box<Object>),
}

impl Held {
    fn client(&self) -> &Object {
        match self {
            Self::Slot(slot) => slot
                .as_ref()
                .expect("`alone` opened it, and only this guard could empty it"),
            Self::Pooled(client) => client,
        }
    }

    /// Gives the connection up instead of back: it is in a state nobody can vouch for.
    fn discard(self) {
        match self {
            Self::Slot(mut slot) => drop(slot.take().map(Object::take)),
            Self::Pooled(client) => drop(Object::take(*client)),
        }
    }
}

/// A connection held alone. Given back, cleaned, when dropped.
pub struct Checkout {
    /// Empty only while dropping.
    held: Option<Held>,
    /// Statements sent and not yet answered. Above zero on drop: the holder left in the middle of one.
    running: AtomicUsize,
    /// Nothing to roll back: set by a COMMIT that was confirmed.
    clean: bool,
    /// Used through `client`, where anything can be said to the session and nothing is counted.
    raw: bool,
    runtime: Handle,
}

impl Checkout {
    /// The connection itself, with everything tokio-postgres offers.
    pub fn client(&self) -> &Object {
        self.held.as_ref().expect("taken only by drop").client()
    }

    /// The connection, as the migration runner wants it.
    pub fn client_mut(&mut self) -> &mut Object {
        match self.held.as_mut().expect("taken only by drop") {
            Held::Slot(slot) => slot
                .as_mut()
                .expect("`alone` opened it, and only this guard could empty it"),
            Held::Pooled(client) => client,
        }
    }

    /// Awaits a statement and keeps count, so that a drop in the middle is noticed.
    async fn run<T>(
        &self,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, DbError> {
        self.running.fetch_add(1, Relaxed);
        let result = statement.await;
        self.running.fetch_sub(1, Relaxed);
        Ok(result?)
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        if self.clean || held.client().is_closed() {
            return;
        }
        let abandoned = self.raw || *self.running.get_mut() > 0;
        let raw = self.raw;
        // The guard moves into the task: the next user gets the connection when the task is done with it.
        self.runtime.spawn(async move {
            match tokio::time::timeout(CLEAN_UP_LIMIT, clean_up(held.client(), abandoned, raw))
                .await
            {
                Ok(Ok(())) => drop(held),
                Ok(Err(_)) | Err(_) => held.discard(),
            }
        });
    }
}

/// A transaction in progress, on a connection held alone.
pub struct Transaction {
    checkout: Checkout,
}

impl Transaction {
    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    ///
    /// [`DbError::Statement`]; PostgreSQL then refuses everything until the rollback.
    pub async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, DbError> {
        let client = self.checkout.client();
        let run = async {
            client
                .query(&client.prepare_cached(sql).await?, params)
                .await
        };
        self.checkout
            .run(run)
            .await
            .inspect_err(|error| self.forget_if_stale(sql, error))
    }

    /// Like [`query`](Self::query), for exactly one row.
    ///
    /// # Errors
    ///
    /// As `query`, and [`DbError::Rows`].
    pub async fn query_one(&self, sql: &str, params: Params<'_>) -> Result<Row, DbError> {
        one(self.query(sql, params).await?)
    }

    /// Like [`query`](Self::query), for at most one row.
    ///
    /// # Errors
    ///
    /// As `query`, and [`DbError::Rows`].
    pub async fn query_opt(&self, sql: &str, params: Params<'_>) -> Result<Option<Row>, DbError> {
        at_most_one(self.query(sql, params).await?)
    }

    /// Runs a statement and returns the number of rows it changed.
    ///
    /// # Errors
    ///
    /// As `query`.
    pub async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64, DbError> {
        let client = self.checkout.client();
        let run = async {
            client
                .execute(&client.prepare_cached(sql).await?, params)
                .await
        };
        self.checkout
            .run(run)
            .await
            .inspect_err(|error| self.forget_if_stale(sql, error))
    }

    /// [`query_opt`](Self::query_opt) for a statement built with sea-query.
    ///
    /// # Errors
    ///
    /// As `query_opt`.
    pub async fn fetch_opt(&self, query: Query) -> Result<Option<Row>, DbError> {
        self.query_opt(query.text(), &query.params()).await
    }

    /// [`query_one`](Self::query_one) for a statement built with sea-query.
    ///
    /// # Errors
    ///
    /// As `query_one`.
    pub async fn fetch_one(&self, query: Query) -> Result<Row, DbError> {
        self.query_one(query.text(), &query.params()).await
    }

    /// This transaction has failed; the next must not meet the same plan.
    fn forget_if_stale(&self, sql: &str, error: &DbError) {
        if matches!(error, DbError::Statement(error) if is_stale(error)) {
            self.checkout.client().statement_cache.remove(sql, &[]);
        }
    }

    async fn commit(mut self) -> Result<(), DbError> {
        // PostgreSQL answers COMMIT of a failed transaction with a rollback and no error. A caller who has overlooked
        // the failure must not take that for success: the SELECT fails then, and COMMIT is never reached.
        let commit = self.checkout.client().batch_execute("SELECT 1; COMMIT");
        self.checkout.run(commit).await?;
        self.checkout.clean = true;
        Ok(())
    }
}

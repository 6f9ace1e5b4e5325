//! A transaction: what runs in it, and its commit.
//!
//! Owns when a COMMIT counts. The checkout underneath rolls back if the transaction ends any other way.

use std::{panic::Location, sync::atomic::Ordering::Relaxed};

use futures_util::{FutureExt, future::BoxFuture};
use tokio_postgres::{Row, Statement};

use super::{
    captured::{Captured, Params},
    error::{DbError, is_stale},
    exclusive::Checkout,
    holder::CallSite,
    lane::Db,
    mark::{Mark, mark_of, misplaced},
    recording::recording_failure,
    row_count::{at_most_one, one},
    traced::{Answer, traced},
    usage::in_transaction,
};

impl Db {
    /// Runs `work` in a transaction: committed if it returns `Ok`, rolled back if it fails, panics or is dropped.
    ///
    /// ```no_run
    /// # use futures_util::FutureExt;
    /// # async fn example(db: shared_db::Db) -> Result<(), shared_db::DbError> {
    /// let total = db.transaction(|tx| async move {
    ///     tx.execute("INSERT INTO increment (counter_id) VALUES ($1)", &[&7_i64]).await?;
    ///     let row = tx.query_one("SELECT count(*) FROM increment", &[]).await?;
    ///     Ok::<i64, shared_db::DbError>(row.get(0))
    /// }.boxed()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// `db` itself is refused inside `work`: it would wait for the connection that this transaction holds.
    ///
    /// # Errors
    ///
    /// What `work` returned, or a [`DbError`] of waiting, `BEGIN` or `COMMIT`.
    #[track_caller]
    pub fn transaction<T, E>(
        &self,
        work: impl for<'t> FnOnce(&'t Transaction) -> BoxFuture<'t, Result<T, E>>,
    ) -> impl Future<Output = Result<T, E>>
    where
        E: From<DbError>,
    {
        let line = Location::caller();
        async move {
            let tx = recording_failure(line, None, self.begin(line)).await?;
            // On `Err`, as on a panic or a drop, `tx` goes out of scope unfinished and its checkout rolls back.
            let value = if self.has_others() {
                work(&tx).await?
            } else {
                in_transaction(&self.inner().counts.usage, line, work(&tx)).await?
            };
            recording_failure(line, Some("COMMIT"), tx.commit()).await?;
            Ok(value)
        }
    }

    pub(super) async fn begin(&self, line: CallSite) -> Result<Transaction, DbError> {
        let pooled = self.inner().begin_behind_a_pooler();
        let mut checkout = self.take(line).await?;
        checkout.raw = false;
        let begin = pooled.as_deref().unwrap_or("BEGIN");
        let begun = checkout.run(checkout.client().batch_execute(begin));
        traced(line, begin, &Captured::of(&[]), begun).await?;
        Ok(Transaction { checkout, line })
    }
}

/// A transaction in progress, on a connection held alone.
pub struct Transaction {
    checkout: Checkout,
    /// Where it began.
    line: CallSite,
}

impl Transaction {
    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    ///
    /// [`DbError::Statement`]; PostgreSQL then refuses everything until the rollback.
    #[track_caller]
    pub fn query<'a>(
        &'a self,
        sql: &'a str,
        params: Params<'a>,
    ) -> BoxFuture<'a, Result<Vec<Row>, DbError>> {
        self.query_from(Location::caller(), sql, params)
    }

    /// [`query`](Self::query) on behalf of the given line.
    pub(super) fn query_from<'a>(
        &'a self,
        line: CallSite,
        sql: &'a str,
        params: Params<'a>,
    ) -> BoxFuture<'a, Result<Vec<Row>, DbError>> {
        async move {
            let captured = Captured::of(params);
            let params = captured.params();
            let client = self.checkout.client();
            let query = async { client.query(&self.prepare(sql).await?, &params).await };
            self.run(line, sql, &captured, query).await
        }
        .boxed()
    }

    /// Like [`query`](Self::query), for exactly one row.
    ///
    /// # Errors
    ///
    /// As `query`, and [`DbError::Rows`].
    #[track_caller]
    pub fn query_one<'a>(
        &'a self,
        sql: &'a str,
        params: Params<'a>,
    ) -> BoxFuture<'a, Result<Row, DbError>> {
        let line = Location::caller();
        let rows = self.query_from(line, sql, params);
        async move { one(line, sql, rows.await?) }.boxed()
    }

    /// Like [`query`](Self::query), for at most one row.
    ///
    /// # Errors
    ///
    /// As `query`, and [`DbError::Rows`].
    #[track_caller]
    pub fn query_opt<'a>(
        &'a self,
        sql: &'a str,
        params: Params<'a>,
    ) -> BoxFuture<'a, Result<Option<Row>, DbError>> {
        let line = Location::caller();
        let rows = self.query_from(line, sql, params);
        async move { at_most_one(line, sql, rows.await?) }.boxed()
    }

    /// Runs a statement and returns the number of rows it changed.
    ///
    /// # Errors
    ///
    /// As `query`.
    #[track_caller]
    pub fn execute<'a>(
        &'a self,
        sql: &'a str,
        params: Params<'a>,
    ) -> BoxFuture<'a, Result<u64, DbError>> {
        let line = Location::caller();
        async move {
            let captured = Captured::of(params);
            let params = captured.params();
            let client = self.checkout.client();
            let execute = async { client.execute(&self.prepare(sql).await?, &params).await };
            self.run(line, sql, &captured, execute).await
        }
        .boxed()
    }

    /// Runs `work`, which is the statement at `line`, if the statement may run in a transaction.
    async fn run<T: Answer>(
        &self,
        line: CallSite,
        sql: &str,
        params: &Captured<'_>,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, DbError> {
        recording_failure(line, Some(sql), async {
            self.check_mark(sql)?;
            let ran = traced(line, sql, params, self.checkout.run(work)).await;
            ran.inspect_err(|error| self.evict_if_stale(sql, error))
        })
        .await
    }

    /// Behind a pooler a prepared statement is used for one transaction only: the next may run on another server
    /// connection, where its name is unknown or means something else.
    async fn prepare(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        let client = self.checkout.client();
        if self.checkout.behind_a_pooler {
            client.prepare(sql).await
        } else {
            client.prepare_cached(sql).await
        }
    }

    /// This transaction has failed; the next must not use the same plan.
    fn evict_if_stale(&self, sql: &str, error: &DbError) {
        if matches!(error, DbError::Statement(error) if is_stale(error)) {
            self.checkout.client().statement_cache.remove(sql, &[]);
            if self.checkout.behind_a_pooler {
                self.checkout.missed_types.add(sql);
            }
        }
    }

    /// A statement that changes the session is noted, so that the session is reset afterwards; one that would end the
    /// transaction is refused.
    fn check_mark(&self, sql: &str) -> Result<(), DbError> {
        match mark_of(sql) {
            Mark::None | Mark::Savepoint => Ok(()),
            Mark::Session => {
                self.checkout.hold();
                self.checkout.marked.store(true, Relaxed);
                Ok(())
            }
            Mark::Transaction => Err(misplaced(
                sql,
                self.line,
                "the result of the closure: Ok commits, Err rolls back",
            )),
        }
    }

    pub(super) async fn commit(mut self) -> Result<(), DbError> {
        // PostgreSQL answers COMMIT of a failed transaction with a rollback and no error. A caller that ignored the
        // failure must not take that for success: the SELECT fails then, and COMMIT is never reached. Rows keep their
        // prepared statements alive, so behind a pooler those are deallocated here and not when the rows are dropped.
        let commit = if self.checkout.behind_a_pooler {
            "SELECT 1; DEALLOCATE ALL; COMMIT"
        } else {
            "SELECT 1; COMMIT"
        };
        let committed = self.checkout.client().batch_execute(commit);
        let committed = self.checkout.run(committed);
        traced(self.line, "COMMIT", &Captured::of(&[]), committed).await?;
        self.checkout.clean = true;
        Ok(())
    }
}

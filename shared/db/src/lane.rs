//! The shared lane: many statements at once on one connection.
//!
//! Owns what handlers call. Statements read-lock the slot and are pipelined; a [`Checkout`](super::Checkout)
//! write-locks it. A statement that was sent is never cancelled from here: a cancel hits whatever runs at that moment,
//! possibly another request's statement. `statement_timeout` bounds it instead. Row streams and portals are not
//! offered: an unread one would block every other user.

use std::{panic::Location, pin::pin, sync::Arc};

use deadpool_postgres::Client as Object;
use futures_util::{FutureExt, future::BoxFuture};
use tokio_postgres::{Row, Statement};

use super::{
    captured::{Captured, Params},
    config::DbConfig,
    error::{DbError, is_stale},
    holder::CallSite,
    recording::recording_failure,
    row_count::{at_most_one, one},
    slot::Inner,
    traced::traced,
};

/// The database, for handlers. Cheap to clone; all clones share the connection.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

impl Db {
    /// A database that opens nothing until the first statement.
    #[must_use]
    pub fn new(config: &DbConfig) -> Self {
        Self {
            inner: Inner::new(config),
        }
    }

    /// Runs a statement and returns its rows.
    ///
    /// The statement is prepared once per connection and pipelined with those of other requests. Dropping the future
    /// before it was sent sends nothing; after that the statement runs to its end and its answer is discarded.
    ///
    /// ```no_run
    /// # async fn example(db: shared_db::Db) -> Result<(), shared_db::DbError> {
    /// let rows = db.query("SELECT name FROM counter WHERE id = $1", &[&7_i64]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`DbError`]: the wait ran out, no connection could be opened, or PostgreSQL refused. If the connection is lost
    /// while the statement runs, it may or may not have taken effect, so it is not repeated.
    #[track_caller]
    pub fn query<'a>(
        &'a self,
        sql: &'a str,
        params: Params<'a>,
    ) -> BoxFuture<'a, Result<Vec<Row>, DbError>> {
        self.query_from(Location::caller(), sql, params)
    }

    /// [`query`](Self::query), attributed to `line`.
    pub(super) fn query_from<'a>(
        &'a self,
        line: CallSite,
        sql: &'a str,
        params: Params<'a>,
    ) -> BoxFuture<'a, Result<Vec<Row>, DbError>> {
        recording_failure(line, Some(sql), async move {
            if self.inner.begin_behind_a_pooler().is_some() {
                return self.query_behind_a_pooler(line, sql, params).await;
            }
            let client = self.inner.shared(sql, line).await?;
            let captured = Captured::of(params);
            let params = captured.params();
            let run = pin!(async {
                let run = async {
                    let read = client.prepare_cached(sql).await?;
                    client.query(&read, &params).await
                };
                let result = match run.await {
                    Err(error) if is_stale(&error) => {
                        client.query(&reprepare(&client, sql).await?, &params).await
                    }
                    result => result,
                };
                self.inner.note_outcome(&client, result).await
            });
            let run = self.inner.counts.silence.or_unanswered(run);
            traced(line, sql, &captured, run).await
        })
        .boxed()
    }

    /// Like [`query`](Self::query), for exactly one row.
    ///
    /// # Errors
    ///
    /// As `query`, and [`DbError::Rows`] for none or several.
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
    /// As `query`, and [`DbError::Rows`] for several.
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

    /// Runs a statement and returns the number of rows it changed. Otherwise like [`query`](Self::query).
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
        recording_failure(line, Some(sql), async move {
            if self.inner.begin_behind_a_pooler().is_some() {
                return self.execute_behind_a_pooler(line, sql, params).await;
            }
            let client = self.inner.shared(sql, line).await?;
            let captured = Captured::of(params);
            let params = captured.params();
            let run = pin!(async {
                let run = async {
                    let statement = client.prepare_cached(sql).await?;
                    client.execute(&statement, &params).await
                };
                let result = match run.await {
                    Err(error) if is_stale(&error) => {
                        client
                            .execute(&reprepare(&client, sql).await?, &params)
                            .await
                    }
                    result => result,
                };
                self.inner.note_outcome(&client, result).await
            });
            let run = self.inner.counts.silence.or_unanswered(run);
            traced(line, sql, &captured, run).await
        })
        .boxed()
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }
}

/// For a statement whose plan became stale through DDL. The server reports that before it runs anything, so a retry is
/// safe outside a transaction.
async fn reprepare(client: &Object, sql: &str) -> Result<Statement, tokio_postgres::Error> {
    client.statement_cache.remove(sql, &[]);
    client.prepare_cached(sql).await
}

#[cfg(test)]
mod tests {
    use super::{Db, DbConfig};
    use crate::url::DatabaseUrl;

    /// Each statement makes one, and moves it.
    #[tokio::test]
    async fn the_future_of_a_statement_is_a_few_kilobytes() {
        let url = DatabaseUrl::parse("postgres://localhost/app").expect("it is valid");
        let db = Db::new(&DbConfig::new(url, "app".to_owned()));
        let (query, execute) = (db.query("SELECT 1", &[]), db.execute("SELECT 1", &[]));
        for size in [size_of_val(&*query), size_of_val(&*execute)] {
            assert!(size < 8 << 10, "it has {size} bytes");
        }
    }
}

//! The shared lane: many statements at once on one connection.
//!
//! Owns what handlers call. Statements read-lock the slot and are pipelined; a [`Checkout`](super::Checkout)
//! write-locks it. A statement that was sent is never cancelled from here: a cancel hits whatever runs at that moment,
//! possibly another request's statement. `statement_timeout` bounds it instead. Row streams and portals are not
//! offered: an unread one would block every other user.

use std::{
    fmt,
    panic::Location,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use deadpool_postgres::Client as Object;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::watch;
use tokio_postgres::{Row, Statement, types::ToSql};

use super::{
    attempt::Reach,
    clean::clean_up,
    error::{DbError, is_stale},
    failure::recording_failure,
    pool::{DbConfig, DbStatus},
    query::{at_most_one, one},
    slot::Inner,
    source::Source,
    usage::CallSite,
};

/// Parameters of a statement, `$1` first.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A server that does not answer the reset in time must not hold up the reload.
const RESET_LIMIT: Duration = Duration::from_millis(500);

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
            let run = async {
                client
                    .query(&client.prepare_cached(sql).await?, params)
                    .await
            };
            let run = async {
                let result = match run.await {
                    Err(error) if is_stale(&error) => {
                        client.query(&reprepare(&client, sql).await?, params).await
                    }
                    result => result,
                };
                self.inner.note_outcome(&client, result).await
            };
            self.inner.counts.silence.or_unanswered(run).await
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
            let run = async {
                client
                    .execute(&client.prepare_cached(sql).await?, params)
                    .await
            };
            let run = async {
                let result = match run.await {
                    Err(error) if is_stale(&error) => {
                        client
                            .execute(&reprepare(&client, sql).await?, params)
                            .await
                    }
                    result => result,
                };
                self.inner.note_outcome(&client, result).await
            };
            self.inner.counts.silence.or_unanswered(run).await
        })
        .boxed()
    }

    /// The state of the pool, without a query to PostgreSQL.
    #[must_use]
    pub fn status(&self) -> DbStatus {
        let (source, counts) = (self.inner.source(), &self.inner.counts);
        let opened_total = counts.opened.load(Relaxed);
        let backend_pid = (opened_total > 0).then(|| counts.backend_pid.load(Relaxed));
        let (waiting, longest_wait) = counts.usage.waits();
        DbStatus {
            max: source.max(),
            size: source.size(),
            opened_total,
            backend_pid,
            waiting,
            longest_wait_ms: u64::try_from(longest_wait.as_millis()).unwrap_or(u64::MAX),
            holders: counts.usage.holders(),
            reconnects: counts.usage.losses(),
        }
    }

    /// Whether the server can be reached, as far as known, with updates.
    #[must_use]
    pub fn reach(&self) -> watch::Receiver<Reach> {
        self.inner.counts.reach.subscribe()
    }

    /// The server has been seen to answer: the next caller tries to connect instead of getting the last failure.
    pub fn note_server_is_up(&self) {
        self.inner.counts.reach.send_if_modified(|reach| {
            let outdated = matches!(reach, Reach::Lost | Reach::Failed { .. });
            if outdated {
                *reach = Reach::Untried;
            }
            outdated
        });
    }

    /// Forgets every prepared statement: plans may belong to an older schema, and texts to code that is gone.
    pub fn forget_statements(&self) {
        for pool in self.inner.source().pools() {
            pool.manager().statement_caches.clear();
        }
    }

    /// Switches every clone of this `Db` to a new pool and closes the old one.
    ///
    /// Waits until running statements are answered; statements that arrive meanwhile run on the new pool. With more
    /// than one connection, open transactions continue on the old pool until they end.
    ///
    /// # Errors
    ///
    /// [`DbError::Wait`] if a transaction or a checkout has the connection for too long; nothing has changed then.
    pub async fn replace(&self, config: &DbConfig) -> Result<(), DbError> {
        let inner = &self.inner;
        inner.counts.silence.leave();
        let mut slot = inner
            .bounded_wait(Location::caller(), inner.slot.write())
            .await?;
        let next = Arc::new(Source::new(config, &inner.counts));
        let before = std::mem::replace(
            &mut *inner.source.write().unwrap_or_else(PoisonError::into_inner),
            next,
        );
        // Close the old connection before the new pool can open one.
        *slot = None;
        before.close();
        inner.counts.reach.send_replace(Reach::Untried);
        Ok(())
    }

    /// Resets all session state. Waits at most `patience` for current users of the connection; meanwhile new ones
    /// queue. Returns `false` if they are not done by then.
    ///
    /// Called between two generations. Statements whose text would change the session are refused, but a function that
    /// they call may still have changed it. If dropped half-way, the session is either unchanged or clean.
    pub async fn reset_session(&self, patience: Duration) -> bool {
        let Ok(slot) = tokio::time::timeout(patience, self.inner.slot.write()).await else {
            return false;
        };
        match &*slot {
            Some(client) if !client.is_closed() => {
                let peer = self.inner.peer();
                let _hold = peer.hold();
                let clean = clean_up(client, &peer, "ROLLBACK", false, true);
                matches!(tokio::time::timeout(RESET_LIMIT, clean).await, Ok(Ok(())))
            }
            _ => true, // the next one opened is clean
        }
    }

    /// Closes the connection once its users are done, and opens no other.
    ///
    /// Waits at most `DATABASE_WAIT_TIMEOUT_MS`, then leaves it to the exit of the process.
    pub async fn close(&self) {
        self.inner.source().close();
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

/// For a statement whose plan became stale through DDL. The server reports that before it runs anything, so a retry is
/// safe outside a transaction.
async fn reprepare(client: &Object, sql: &str) -> Result<Statement, tokio_postgres::Error> {
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

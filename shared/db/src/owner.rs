//! What the process that owns a `Db` does with it: opens, replaces, resets and closes its connection, and asks how it is.

use std::{
    fmt,
    panic::Location,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use deadpool_postgres::Client as Object;
use tokio::sync::watch;

use super::{
    clean::clean_up, config::DbConfig, counts::DbStatus, error::DbError, lane::Db, reach::Reach,
    source::Source,
};

/// A server that does not answer the reset in time must not hold up the reload.
const RESET_LIMIT: Duration = Duration::from_millis(500);

impl Db {
    /// Opens the connection, unless it is open.
    ///
    /// # Errors
    ///
    /// [`DbError`]: the wait ran out, or no connection could be opened.
    #[track_caller]
    pub fn open(&self) -> impl Future<Output = Result<(), DbError>> {
        let line = Location::caller();
        async move { self.inner().shared("", line).await.map(drop) }
    }

    /// Whether the process runs without a database: see [`DatabaseUrl::absent`](crate::DatabaseUrl::absent).
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.inner().refuse_absent().is_err()
    }

    /// The state of the pool, without a query to PostgreSQL.
    #[must_use]
    pub fn status(&self) -> DbStatus {
        let (source, counts) = (self.inner().source(), &self.inner().counts);
        let opened_total = counts.opened.load(Relaxed);
        let backend_pid = (opened_total > 0).then(|| counts.backend_pid.load(Relaxed));
        let (waiting, longest_wait) = counts.usage.waits();
        DbStatus {
            max: source.max(),
            size: source.size(),
            opened_total,
            backend_pid,
            uses_total: counts.usage.total(),
            waiting,
            longest_wait_ms: u64::try_from(longest_wait.as_millis()).unwrap_or(u64::MAX),
            holders: counts.usage.holders(),
            reconnects: counts.usage.losses(),
        }
    }

    /// Whether the server can be reached, as far as known, with updates.
    #[must_use]
    pub fn reach(&self) -> watch::Receiver<Reach> {
        self.inner().counts.reach.subscribe()
    }

    /// The server has been seen to answer: the next caller tries to connect instead of getting the last failure.
    pub fn note_server_is_up(&self) {
        self.inner().counts.reach.send_if_modified(|reach| {
            let outdated = matches!(reach, Reach::Lost | Reach::Failed { .. });
            if outdated {
                *reach = Reach::Untried;
            }
            outdated
        });
    }

    /// Forgets every prepared statement: plans may belong to an older schema, and texts to code that is gone.
    pub fn forget_statements(&self) {
        for pool in self.inner().source().pools() {
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
        let inner = self.inner();
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

    /// Closes the connection once its users are done, and keeps new ones waiting while `between` runs. The next user
    /// opens another.
    ///
    /// Further connections for exclusive use, of which there are some if more than one is allowed, are not closed. If
    /// dropped half-way, the connection may be closed, and the next user opens another.
    ///
    /// # Errors
    ///
    /// [`DbError::Wait`] if a transaction, a checkout or a client of the relay has the connection for too long; `between`
    /// has not run then.
    pub async fn disconnected<T>(&self, between: impl AsyncFnOnce() -> T) -> Result<T, DbError> {
        let (inner, line) = (self.inner(), Location::caller());
        inner.counts.silence.leave();
        let mut slot = inner.bounded_wait(line, inner.slot.write()).await?;
        if let Some(client) = slot.take() {
            let peer = inner.peer();
            let _hold = peer.hold();
            if !client.is_closed() {
                // Answered when all others who share the backend through the relay are done.
                let limit = inner.wait_limit();
                let clean = clean_up(&client, &peer, "ROLLBACK", false, false);
                if tokio::time::timeout(limit, clean).await.is_err() {
                    *slot = Some(client);
                    return Err(inner.wait_timed_out(line, limit));
                }
            }
            // Out of the pool, which would hand it out again.
            drop(Object::take(client));
            peer.cut();
        }
        Ok(between().await)
    }

    /// Resets all session state. Waits at most `patience` for current users of the connection; meanwhile new ones
    /// queue. Returns `false` if they are not done by then.
    ///
    /// Called between two generations. Statements whose text would change the session are refused, but a function that
    /// they call may still have changed it. If dropped half-way, the session is either unchanged or clean.
    pub async fn reset_session(&self, patience: Duration) -> bool {
        let Ok(slot) = tokio::time::timeout(patience, self.inner().slot.write()).await else {
            return false;
        };
        match &*slot {
            Some(client) if !client.is_closed() => {
                let peer = self.inner().peer();
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
        self.inner().source().close();
        if let Ok(mut slot) =
            tokio::time::timeout(self.inner().wait_limit(), self.inner().slot.write()).await
        {
            *slot = None;
        }
    }

    /// The server has been seen to be silent, or to answer again. While it is silent, statements fail at once, and so
    /// do those that wait for an answer. A request that holds a [`Checkout`](super::Checkout) is cut off: what it sends
    /// there is not seen here.
    pub fn set_silent(&self, silent: bool) {
        let counts = &self.inner().counts;
        if counts.silence.set(silent) {
            let error = DbError::Silent { sent: true };
            counts.usage.cut_off_checkouts(&error.to_string());
        }
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db")
            .field("status", &self.status())
            .finish()
    }
}

//! Attempts to open a connection: one at a time, for all who want it.
//!
//! Owns the patience with a server that is gone. A connection that was lost is given time to come back, once; from then
//! on the server is known to be down, and who asks is told so at once until an attempt succeeds.

use std::{
    sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use deadpool_postgres::{Client as Object, PoolError, TimeoutType};
use tokio::sync::Mutex as Turns;

use super::{
    book::Line,
    error::{DbError, connect_reason, may_pass},
    slot::Inner,
    tls::Tls,
};

/// Pauses between attempts to open a lost connection again.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
];

/// News of a failure as fresh as this is believed: many who ask a server that is down are no storm of attempts. And as
/// long anybody waits for the attempt of somebody else then. A server that is back is noticed no later.
pub(super) const BRIEF: Duration = Duration::from_millis(100);

/// What is known of the server, from the last attempt.
#[derive(Default)]
pub(super) struct Attempts {
    /// Held by whoever tries.
    turns: Turns<()>,
    /// How the last one failed, and when. `None` once one has succeeded.
    failed: Mutex<Option<(Instant, String)>>,
}

impl Attempts {
    /// Why the server cannot be reached, if that is known.
    pub(super) fn news(&self) -> Option<String> {
        self.failed().as_ref().map(|(_, reason)| reason.clone())
    }

    /// Another server from now on.
    pub(super) fn forget(&self) {
        *self.failed() = None;
    }

    fn failed(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// A connection of the pool, opened if it must be, and the TLS for its cancels. Whoever has waited since `since`
    /// for an attempt that failed is told of that one.
    pub(super) async fn opened(
        &self,
        line: Line,
        since: Instant,
    ) -> Result<(Object, Tls), DbError> {
        let _mine = self.attempts.turns.lock().await;
        let source = self.source();
        let patience = match &*self.attempts.failed() {
            Some((at, reason)) if *at + BRIEF >= since => {
                let reason = reason.clone();
                return Err(DbError::Unreachable { reason });
            }
            Some(_) => Duration::ZERO,
            None if self.counts.opened.load(Relaxed) == 0 => Duration::ZERO, // never yet: no restart, a mistake
            None => source.patience,
        };
        let began = Instant::now();
        let mut pauses = PAUSES.iter().chain(PAUSES.last().into_iter().cycle());
        let opened = loop {
            match source.pool.get().await {
                Err(error) if may_pass(&error) && began.elapsed() < patience => {
                    tokio::time::sleep(*pauses.next().expect("it cycles")).await;
                }
                opened => break opened,
            }
        };
        *self.attempts.failed() = match &opened {
            Err(error) if !is_busy(error) => Some((Instant::now(), connect_reason(error))),
            _ => None,
        };
        match opened {
            Ok(client) => Ok((client, source.tls)),
            Err(error) => Err(self.no_connection(line, error)),
        }
    }

    /// One of several connections. Only an attempt that did not succeed at once takes its turn.
    pub(super) async fn pooled(
        &self,
        line: Line,
        since: Instant,
    ) -> Result<(Object, Tls), DbError> {
        let source = self.source();
        let got = {
            let _waiting = self.counts.book.wait();
            self.counts.book.turn(line, source.pool.get()).await
        };
        match got {
            Ok(client) => Ok((client, source.tls)),
            Err(error) if may_pass(&error) => self.opened(line, since).await,
            Err(error) => Err(self.no_connection(line, error)),
        }
    }

    fn no_connection(&self, line: Line, error: PoolError) -> DbError {
        if is_busy(&error) {
            return self.waited(line, self.wait_limit());
        }
        DbError::Connect(error)
    }
}

/// All that the pool may open are in use.
fn is_busy(error: &PoolError) -> bool {
    matches!(error, PoolError::Timeout(TimeoutType::Wait))
}

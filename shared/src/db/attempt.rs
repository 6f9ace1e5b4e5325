//! Attempts to open a connection: one at a time, for all who want it.
//!
//! Owns the patience with a server that is gone. A connection that was lost is given time to come back, once; from then
//! on the server is known to be down, and who asks is told so at once until an attempt succeeds.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use deadpool_postgres::{Client as Object, PoolError, TimeoutType};

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

/// What is known of the way to the server. For whoever wants to tell people; nothing here depends on their reading it.
#[derive(Clone, Debug, Default)]
pub enum Reach {
    /// Nobody has tried, or nobody since the server was seen to answer again.
    #[default]
    Untried,
    /// The last attempt succeeded.
    Open,
    /// The connection ended by itself, and nobody has asked for another yet.
    Lost,
    /// The last attempt failed.
    Failed {
        /// When.
        at: Instant,
        /// What the server, or what lies before it, said.
        reason: String,
    },
}

impl Inner {
    /// Why the server cannot be reached, if that is known.
    pub(super) fn news(&self) -> Option<String> {
        match &*self.counts.reach.borrow() {
            Reach::Failed { reason, .. } => Some(reason.clone()),
            _ => None,
        }
    }

    /// A connection of the pool, opened if it must be, and the TLS for its cancels. Whoever has waited since `since`
    /// for an attempt that failed is told of that one.
    pub(super) async fn opened(
        &self,
        line: Line,
        since: Instant,
    ) -> Result<(Object, Tls), DbError> {
        let _mine = self.turns.lock().await;
        let source = self.source();
        let patience = match &*self.counts.reach.borrow() {
            Reach::Failed { at, reason } if *at + BRIEF >= since => {
                let reason = reason.clone();
                return Err(DbError::Unreachable { reason });
            }
            Reach::Failed { .. } => Duration::ZERO,
            _ if self.counts.opened.load(Relaxed) == 0 => Duration::ZERO, // never yet: no restart, a mistake
            _ => source.patience,
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
        self.counts.reach.send_replace(match &opened {
            Ok(_) => Reach::Open,
            Err(error) if is_busy(error) => Reach::Untried,
            Err(error) => Reach::Failed {
                at: Instant::now(),
                reason: connect_reason(error),
            },
        });
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

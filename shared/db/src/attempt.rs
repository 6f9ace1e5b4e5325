//! Attempts to open a connection: one at a time, shared by all callers.
//!
//! Owns how long to wait for a server that is gone. After a loss, the first caller retries for a while. If that fails,
//! the server is known to be down, and callers get the error at once until an attempt succeeds.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use deadpool_postgres::{Client as Object, Pool, PoolError, TimeoutType};

use super::{
    error::{DbError, connect_reason, may_pass},
    holder::CallSite,
    reach::{FAILURE_TTL, Reach},
    slot::Inner,
    source::Source,
    tls::Tls,
};

/// Pauses between attempts to reopen a lost connection.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
];

impl Inner {
    /// The reason why the server cannot be reached, if it is known to be down.
    pub(super) fn known_failure(&self) -> Option<String> {
        match &*self.counts.reach.borrow() {
            Reach::Failed { reason, .. } => Some(reason.clone()),
            _ => None,
        }
    }

    /// A connection from `pool`, opened if necessary, and the TLS for its cancels. If another caller's attempt has
    /// failed since `since`, that error is returned instead of trying again.
    pub(super) async fn open_with_retries(
        &self,
        line: CallSite,
        since: Instant,
        pool: fn(&Source) -> &Pool,
    ) -> Result<(Object, Tls), DbError> {
        let _mine = self.opening.lock().await;
        let source = self.source();
        let patience = match &*self.counts.reach.borrow() {
            Reach::Failed { at, reason } if *at + FAILURE_TTL >= since => {
                let reason = reason.clone();
                return Err(DbError::Unreachable { reason });
            }
            Reach::Failed { .. } => Duration::ZERO,
            _ if self.counts.opened.load(Relaxed) == 0 => Duration::ZERO, // never connected: a wrong setting, not a restarting server
            _ => source.patience,
        };
        let began = Instant::now();
        let mut pauses = PAUSES.iter().chain(PAUSES.last().into_iter().cycle());
        let opened = loop {
            match pool(&source).get().await {
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
            Ok(client) => Ok((client, source.tls.clone())),
            Err(error) => Err(self.connect_error(line, error)),
        }
    }

    /// One of several connections. Only after a failed first try does the caller queue with the others.
    pub(super) async fn take_from_pool(
        &self,
        line: CallSite,
        since: Instant,
    ) -> Result<(Object, Tls), DbError> {
        let source = self.source();
        let got = {
            let _waiting = self.counts.usage.wait();
            let others = source.others().get();
            self.counts.usage.turn(line, others).await
        };
        match got {
            Ok(client) => Ok((client, source.tls.clone())),
            Err(error) if may_pass(&error) => {
                self.open_with_retries(line, since, Source::others).await
            }
            Err(error) => Err(self.connect_error(line, error)),
        }
    }

    fn connect_error(&self, line: CallSite, error: PoolError) -> DbError {
        if is_busy(&error) {
            return self.wait_timed_out(line, self.wait_limit());
        }
        DbError::Connect(error)
    }
}

/// All connections that the pool may open are in use.
fn is_busy(error: &PoolError) -> bool {
    matches!(error, PoolError::Timeout(TimeoutType::Wait))
}

//! Tracks who uses the connection, since when and from which line; who waits for it; and how connections were lost.
//!
//! Updated at every use, read when a wait times out or the dashboard asks. It does not decide who gets the connection:
//! the lock in `slot` does.

// Whose use ends early.
mod cut_off;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    error::DbError,
    holder::{CallSite, Holder, Loss},
};
use crate::request::Request;

/// How many holders an error names: the first few explain the wait.
const MAX_NAMED: usize = 5;

/// PostgreSQL's error and the closed socket arrive in either order. Further apart than this they belong to different
/// connections.
const SAME_LOSS: Duration = Duration::from_secs(1);

tokio::task_local! {
    /// The transactions that the current code runs in: on which database, and where each began. A transaction on one
    /// database may contain one on another.
    static OPEN_TRANSACTIONS: Vec<(Arc<UsageTracker>, CallSite)>;
}

#[derive(Debug, Default)]
pub(super) struct UsageTracker(Mutex<UsageState>);

#[derive(Debug, Default)]
struct UsageState {
    next: u64,
    /// Oldest first.
    uses: BTreeMap<u64, Usage>,
    waiting: usize,
    longest_wait: Duration,
    losses: BTreeMap<String, u64>,
    /// The error with which PostgreSQL ended a connection, as a running statement received it, and when.
    server_error: Option<(String, Instant)>,
    /// The last loss recorded, and when: PostgreSQL's reason for it may still arrive.
    last_loss: Option<(String, Instant)>,
}

#[derive(Debug)]
struct Usage {
    by: Option<Arc<Request>>,
    line: CallSite,
    since: Instant,
    alone: bool,
    /// A checkout, whose statements are not seen here.
    checkout: bool,
}

/// The connection is in use until this is dropped.
pub(super) struct UsageGuard {
    usage: Arc<UsageTracker>,
    key: u64,
    /// The request whose checkout this is. Its flag is cleared on release.
    holder: Option<Arc<Request>>,
}

/// A wait for the connection, until this is dropped.
pub(super) struct WaitGuard<'a> {
    usage: &'a UsageTracker,
    since: Instant,
}

impl UsageTracker {
    /// Records a use that begins now.
    pub(super) fn begin_use(self: &Arc<Self>, line: CallSite, alone: bool) -> UsageGuard {
        let mut state = self.state();
        let key = state.next;
        state.next += 1;
        let by = Request::current();
        state.uses.insert(
            key,
            Usage {
                by,
                line,
                since: Instant::now(),
                alone,
                checkout: false,
            },
        );
        UsageGuard {
            usage: self.clone(),
            key,
            holder: None,
        }
    }

    pub(super) fn wait(&self) -> WaitGuard<'_> {
        self.state().waiting += 1;
        WaitGuard {
            usage: self,
            since: Instant::now(),
        }
    }

    /// How many uses have begun.
    pub(super) fn total(&self) -> u64 {
        self.state().next
    }

    pub(super) fn holders(&self) -> Vec<Holder> {
        let state = self.state();
        state
            .uses
            .values()
            .take(MAX_NAMED)
            .map(Usage::holder)
            .collect()
    }

    /// How many wait now, and the longest wait so far.
    pub(super) fn waits(&self) -> (usize, Duration) {
        let state = self.state();
        (state.waiting, state.longest_wait)
    }

    /// A statement received the error that ended its connection. The task that reads the socket sees only that it
    /// closed, and may report that before or after this.
    pub(super) fn set_loss_reason(&self, server_error: String) {
        let mut state = self.state();
        match state.last_loss.take() {
            Some((reason, at)) if at.elapsed() < SAME_LOSS => {
                if let Some(times) = state.losses.get_mut(&reason) {
                    *times -= 1;
                }
                state.losses.retain(|_, times| *times > 0);
                *state.losses.entry(server_error).or_default() += 1;
            }
            _ => state.server_error = Some((server_error, Instant::now())),
        }
    }

    /// Records a connection that ended by itself. Returns PostgreSQL's reason if it has arrived, else the one given.
    pub(super) fn record_loss(&self, reason: String) -> String {
        let mut state = self.state();
        let now = Instant::now();
        let reason = match state.server_error.take() {
            Some((said, at)) if at.elapsed() < SAME_LOSS => said,
            _ => {
                state.last_loss = Some((reason.clone(), now));
                reason
            }
        };
        *state.losses.entry(reason.clone()).or_default() += 1;
        reason
    }

    /// Records the loss of a connection that is discarded because it takes no writes.
    pub(super) fn record_demotion(&self, refusal: String) {
        let reason = self.record_loss(refusal);
        tracing::warn!(
            "the database no longer takes writes, and target_session_attrs=read-write asks for one that does: {reason}; \
             the next statement looks for it"
        );
    }

    pub(super) fn losses(&self) -> Vec<Loss> {
        let state = self.state();
        let losses = state.losses.iter().map(|(reason, times)| Loss {
            reason: reason.clone(),
            times: *times,
        });
        losses.collect()
    }

    /// Refuses a request that would wait for itself: it already has a transaction or a checkout.
    pub(super) fn refuse_nested(&self, line: CallSite) -> Result<(), DbError> {
        let in_transaction = OPEN_TRANSACTIONS.try_with(|held| {
            let mine = held
                .iter()
                .find(|(usage, _)| std::ptr::eq(&raw const **usage, self));
            mine.map(|(_, line)| *line)
        });
        let held = in_transaction.ok().flatten().or_else(|| {
            let me = Request::current_with_checkout()?;
            let state = self.state();
            let mine = state
                .uses
                .values()
                .find(|held| held.alone && held.by.as_ref().is_some_and(|by| Arc::ptr_eq(by, &me)));
            mine.map(|held| held.line)
        });
        match held {
            None => Ok(()),
            Some(held) => Err(DbError::Nested {
                held: held.to_string(),
                asked: line.to_string(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, UsageState> {
        // A panic cannot leave the state inconsistent, so a poisoned lock is usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Usage {
    fn holder(&self) -> Holder {
        Holder {
            who: self
                .by
                .as_ref()
                .map_or_else(|| "no request".to_owned(), ToString::to_string),
            at: (!self.by.as_ref().is_some_and(|by| by.is_of_the_host()))
                .then(|| self.line.to_string()),
            for_ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            alone: self.alone,
        }
    }
}

impl UsageGuard {
    /// For a checkout: until it is released, its request must not ask for the `only` connection again.
    pub(super) fn mark_as_checkout(&mut self, only: bool) {
        if let Some(held) = self.usage.state().uses.get_mut(&self.key) {
            held.checkout = true;
        }
        if !only {
            return;
        }
        self.holder = Request::current();
        if let Some(holder) = &self.holder {
            holder.set_holds_checkout(true);
        }
    }

    /// A statement of this use received the error that ended its connection.
    pub(super) fn set_loss_reason(&self, server_error: String) {
        self.usage.set_loss_reason(server_error);
    }

    /// Records that its connection no longer takes writes.
    pub(super) fn record_demotion(&self, refusal: String) {
        self.usage.record_demotion(refusal);
    }

    /// The holder is done. Only cleanup remains, so its request may ask for the connection again.
    pub(super) fn release(&mut self) {
        if let Some(holder) = self.holder.take() {
            holder.set_holds_checkout(false);
        }
    }
}

impl Drop for UsageGuard {
    fn drop(&mut self) {
        self.release();
        self.usage.state().uses.remove(&self.key);
    }
}

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        let mut state = self.usage.state();
        state.waiting -= 1;
        state.longest_wait = state.longest_wait.max(self.since.elapsed());
    }
}

/// Runs the body of a transaction that began at `line`, on the connection that `book` tracks.
pub(super) fn in_transaction<F: Future>(
    usage: &Arc<UsageTracker>,
    line: CallSite,
    work: F,
) -> impl Future<Output = F::Output> {
    let mut held = OPEN_TRANSACTIONS.try_with(Clone::clone).unwrap_or_default();
    held.push((usage.clone(), line));
    OPEN_TRANSACTIONS.scope(held, work)
}

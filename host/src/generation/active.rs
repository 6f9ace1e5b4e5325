//! The active generation, the ones that drain or have retired, and the reason if there is none yet.
//!
//! `serve` takes leases here, and `reload` swaps here. A swap is only a pointer change.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use axum::{Router, http::Method};
use shared::request::Request;
use tokio::sync::watch;

use super::{Generation, Lease, RetiredGeneration, Snapshot};

/// How many generations are kept in the history.
const LISTED: usize = 50;

/// All generations of this process: the active one, those that drain, and summaries of the retired ones.
pub(crate) struct Generations {
    active: ArcSwapOption<Generation>,
    /// Oldest first.
    history: Mutex<Vec<Listed>>,
    /// Why there is no active generation, for requests that arrive before the first one.
    absence: watch::Sender<Absence>,
    /// How many requests have entered any generation, including those no longer listed.
    entered: AtomicU64,
}

enum Listed {
    Alive(Arc<Generation>),
    /// Only a summary, since the generation itself would keep its runtime's file descriptors open.
    Retired(RetiredGeneration),
}

impl Listed {
    fn snapshot(&self) -> Snapshot {
        match self {
            Self::Alive(generation) => generation.snapshot(),
            Self::Retired(summary) => summary.snapshot(),
        }
    }
}

/// Why no generation is active.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Absence {
    #[error("the app is being built for the first time")]
    Starting,
    /// The first build waits for something that may take long.
    #[error("{0}")]
    Blocked(String),
    #[error("the app has not started yet: {0}")]
    Failed(String),
    #[error("the host is shutting down")]
    Stopping,
}

impl Generations {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            active: ArcSwapOption::empty(),
            history: Mutex::default(),
            absence: watch::Sender::new(Absence::Starting),
            entered: AtomicU64::new(0),
        })
    }

    /// A lease on the active generation for the request of this number. Before the first one, waits for the result of its
    /// build.
    pub(crate) async fn lease(
        &self,
        method: &Method,
        path: &str,
        number: u64,
    ) -> Result<(Lease, Router), Absence> {
        if let Some(leased) = self.lease_now(method, path, number) {
            return Ok(leased);
        }
        let mut absence = self.absence.subscribe();
        loop {
            // Try again: a generation may have become active before the subscription.
            if let Some(leased) = self.lease_now(method, path, number) {
                return Ok(leased);
            }
            let why = absence.borrow_and_update().clone();
            if !matches!(why, Absence::Starting) {
                return Err(why);
            }
            if self.active.load().is_none() && absence.changed().await.is_err() {
                return Err(Absence::Stopping);
            }
        }
    }

    fn lease_now(&self, method: &Method, path: &str, number: u64) -> Option<(Lease, Router)> {
        // The generation may close between `load` and `lease`. If so, its successor is already active.
        while let Some(active) = &*self.active.load() {
            if let Some(leased) = active.lease(method, path, number) {
                self.entered.fetch_add(1, SeqCst);
                return Some(leased);
            }
        }
        None
    }

    /// Makes `next` active and returns the previous one. From now on new requests run the new code.
    pub(crate) fn swap(&self, next: Arc<Generation>) -> Option<Arc<Generation>> {
        let mut history = self.history();
        if history.len() >= LISTED
            && let Some(oldest) = history
                .iter()
                .position(|listed| matches!(listed, Listed::Retired(_)))
        {
            history.remove(oldest);
        }
        history.push(Listed::Alive(next.clone()));
        let before = self.active.swap(Some(next));
        // Close the old one only now, so that there is always one that gives out leases; and under the lock, so that a
        // list of generations never shows two as active.
        if let Some(before) = &before {
            before.close();
        }
        drop(history);
        self.absence.send_modify(|_| {}); // wakes requests that wait for the first one
        before
    }

    /// Drops a generation whose runtime has ended, and keeps a summary.
    pub(crate) fn forget(&self, ended: &Generation) {
        for listed in self.history().iter_mut() {
            if matches!(listed, Listed::Alive(generation) if generation.id() == ended.id()) {
                *listed = Listed::Retired(ended.summary());
            }
        }
    }

    /// Requests whose code has been running for `limit` without yielding at an await, and how many threads their
    /// runtime has.
    pub(crate) fn not_yielding(&self, limit: Duration) -> Vec<(Arc<Request>, usize)> {
        let mut all = Vec::new();
        for listed in self.history().iter() {
            if let Listed::Alive(generation) = listed {
                let threads = generation.handle.metrics().num_workers();
                let not_yielding = generation.not_yielding(limit);
                all.extend(not_yielding.into_iter().map(|request| (request, threads)));
            }
        }
        all
    }

    /// Sets why there is no generation, for requests that wait for the first one.
    pub(crate) fn set_absent(&self, why: Absence) {
        self.absence.send_replace(why);
    }

    /// Sets what the first build waits for; `None` if it no longer waits.
    pub(crate) fn set_blocked(&self, why: Option<String>) {
        self.absence.send_if_modified(|absence| {
            let next = match (&*absence, why) {
                (Absence::Starting | Absence::Blocked(_), Some(why)) => Absence::Blocked(why),
                (Absence::Blocked(_), None) => Absence::Starting,
                _ => return false,
            };
            *absence = next;
            true
        });
    }

    /// Removes the active generation because the process is ending.
    pub(crate) fn take(&self) -> Option<Arc<Generation>> {
        self.set_absent(Absence::Stopping);
        self.active.swap(None)
    }

    /// 0 if there is none.
    pub(crate) fn active_id(&self) -> u64 {
        self.active().map_or(0, |active| active.id())
    }

    pub(crate) fn active(&self) -> Option<Arc<Generation>> {
        self.active.load_full()
    }

    /// The id of the active generation (0 if none) and a snapshot of each, oldest first, all taken at once.
    pub(crate) fn snapshots(&self) -> (u64, Vec<Snapshot>) {
        let history = self.history();
        let all = history.iter().map(Listed::snapshot).collect();
        (self.active_id(), all)
    }

    /// How many requests have entered so far, or `None` if a generation does not rest. Two equal results mean that no
    /// app code ran in between.
    pub(crate) fn at_rest(&self) -> Option<u64> {
        let history = self.history();
        // Read before checking: a request that comes and goes meanwhile then changes the next result.
        let entered = self.entered.load(SeqCst);
        let mut alive = history.iter().filter_map(|listed| match listed {
            Listed::Alive(generation) => Some(generation),
            Listed::Retired(_) => None,
        });
        alive
            .all(|generation| generation.rests())
            .then_some(entered)
    }

    fn history(&self) -> MutexGuard<'_, Vec<Listed>> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

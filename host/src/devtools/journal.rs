//! History of reloads: how long each took, and how many backends there were after it.
//!
//! Backends are counted by PostgreSQL and recorded at every count. A count belongs to the generation that was active at
//! the time, so the last count of each shows what it has left behind.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use tokio::sync::watch;

use crate::{
    database::{Census, Observer, Refusals},
    events::{LastReload, Report},
};

/// Enough for a chart, and to see a leak of 100 connections through to its end.
const MAX_ENTRIES: usize = 200;

/// One reload.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PastReload {
    #[serde(flatten)]
    reload: LastReload,
    /// Local time.
    at: String,
    backends: Option<usize>,
    usable: Option<i32>,
    /// Whether PostgreSQL refused a connection while this generation was active.
    refused: bool,
}

/// Median and 95th percentile, in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Percentiles {
    p50: f64,
    p95: f64,
}

/// Where the time of reloads goes.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    detect: Option<Percentiles>,
    build: Option<Percentiles>,
    load: Option<Percentiles>,
    swap: Option<Percentiles>,
    total: Option<Percentiles>,
}

#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<VecDeque<PastReload>>);

impl Journal {
    /// Records until the host ends and aborts it.
    pub(crate) async fn record(
        self: Arc<Self>,
        mut report: watch::Receiver<Report>,
        mut refusals: watch::Receiver<Refusals>,
        observer: Arc<Observer>,
    ) {
        let mut recorded = 0;
        loop {
            tokio::select! {
                changed = report.changed() => if changed.is_err() { return },
                Ok(()) = refusals.changed() => {
                    refusals.mark_unchanged();
                    if let Some(newest) = self.entries().back_mut() {
                        newest.refused = true;
                    }
                }
            }
            let last = report.borrow_and_update().last_reload.clone();
            if let Some(last) = last.filter(|last| last.generation != recorded) {
                recorded = last.generation;
                // Connections open right after a swap were opened before it, so the count goes to both generations.
                let census = observer.count().await;
                self.count(census.as_ref());
                self.add(last);
                self.count(census.as_ref());
            }
        }
    }

    /// Records a new count for the current generation.
    pub(crate) fn count(&self, census: Option<&Census>) {
        if let (Some(census), Some(newest)) = (census, self.entries().back_mut()) {
            newest.backends = Some(census.backends);
            newest.usable = census.usable.or(newest.usable);
        }
    }

    fn add(&self, reload: LastReload) {
        let mut entries = self.entries();
        if entries.len() == MAX_ENTRIES {
            entries.pop_front();
        }
        entries.push_back(PastReload {
            reload,
            at: chrono::Local::now().format("%H:%M:%S").to_string(),
            backends: None,
            usable: None,
            refused: false,
        });
    }

    /// Oldest first.
    pub(crate) fn history(&self) -> Vec<PastReload> {
        self.entries().iter().cloned().collect()
    }

    /// `None` before the first reload; the initial load is not one.
    pub(crate) fn latency(&self) -> Option<Latency> {
        let entries = self.entries();
        let reloads: Vec<&LastReload> = entries
            .iter()
            .map(|entry| &entry.reload)
            .filter(|reload| !reload.first)
            .collect();
        let of = |part: fn(&LastReload) -> Option<f64>| {
            percentiles(reloads.iter().filter_map(|reload| part(reload)).collect())
        };
        (!reloads.is_empty()).then(|| Latency {
            detect: of(|reload| reload.detect_ms),
            build: of(|reload| Some(reload.build_ms)),
            load: of(|reload| Some(reload.load_ms)),
            swap: of(|reload| Some(reload.swap_ms)),
            total: of(|reload| Some(reload.total_ms)),
        })
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<PastReload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn percentiles(mut values: Vec<f64>) -> Option<Percentiles> {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let rank = (share * values.len() as f64).ceil() as usize;
        values.get(rank.saturating_sub(1)).copied()
    };
    Some(Percentiles {
        p50: at(0.5)?,
        p95: at(0.95)?,
    })
}

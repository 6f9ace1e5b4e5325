//! How a generation stands, as it is told.

use std::time::Instant;

use serde::Serialize;

/// Where a generation is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// Takes requests.
    Active,
    /// Takes no more and finishes those it has.
    Draining,
    /// Its runtime is gone and everything it opened with it. Its code stays mapped.
    Retired,
}

/// How a generation stands at one moment.
#[derive(Debug, Serialize)]
pub(crate) struct Snapshot {
    pub(crate) id: u64,
    pub(crate) state: Stage,
    /// Requests inside.
    pub(crate) in_flight: usize,
    /// Requests that have entered so far.
    pub(crate) served: u64,
    /// Seconds since it was started.
    pub(crate) age_s: f64,
    /// Requests that have been inside for long, by name.
    pub(crate) late: Vec<String>,
}

/// What is told of a generation that has ended.
pub(crate) struct RetiredGeneration {
    pub(super) id: u64,
    pub(super) served: u64,
    pub(super) since: Instant,
}

impl RetiredGeneration {
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            id: self.id,
            state: Stage::Retired,
            in_flight: 0,
            served: self.served,
            age_s: self.since.elapsed().as_secs_f64(),
            late: Vec::new(),
        }
    }
}

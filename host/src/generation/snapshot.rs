//! The state of a generation as it is reported.

use std::time::Instant;

use serde::Serialize;

/// A stage in the life of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// Takes requests.
    Active,
    /// Takes no new requests and finishes those it has.
    Draining,
    /// Its runtime and everything it opened are gone. Its code stays mapped.
    Retired,
}

/// The state of a generation at one moment.
#[derive(Debug, Serialize)]
pub(crate) struct Snapshot {
    pub(crate) id: u64,
    pub(crate) state: Stage,
    /// Requests running.
    pub(crate) in_flight: usize,
    /// Requests that have entered so far.
    pub(crate) served: u64,
    /// Seconds since it was started.
    pub(crate) age_s: f64,
    /// Long-running requests, by name.
    pub(crate) late: Vec<String>,
}

/// The summary of a retired generation.
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

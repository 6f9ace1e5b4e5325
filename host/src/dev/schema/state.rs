//! How the database compares with `migrations/`, and what the terminal prints about it.

use clap::ValueEnum;
use serde::Serialize;

use super::run::Applying;
use crate::{
    dev::terminal::line,
    migrate::{self, Failure},
};

/// When pending migrations are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Policy {
    /// Automatically.
    Auto,
    /// On request; until then every request gets the page that says so.
    Ask,
}

/// How the database compares with the files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SchemaState {
    #[serde(flatten)]
    pub(crate) status: migrate::Status,
    pub(crate) failure: Option<Failure>,
    /// The run in progress.
    pub(crate) applying: Option<Applying>,
    /// The failure is a missing connection. The run is repeated once there is one.
    #[serde(skip)]
    pub(crate) unreached: bool,
    /// Incremented by each run that changed the state.
    #[serde(skip)]
    pub(super) revision: u64,
}

impl SchemaState {
    /// Identifies this blocking state; `None` if it does not block.
    pub(crate) fn revision(&self) -> Option<u64> {
        self.blocks().then_some(self.revision)
    }

    /// Whether the app must not get requests: it would run on a schema it was not written for, or wait for the
    /// connection that a slow migration holds.
    fn blocks(&self) -> bool {
        let blocks_app = |run: &Applying| run.slow && !run.elsewhere;
        self.differs() || self.applying.as_ref().is_some_and(blocks_app)
    }

    /// Whether the database differs from the files.
    pub(crate) fn differs(&self) -> bool {
        self.failure.is_some() || !self.status.pending.is_empty()
    }

    /// Whether a run on the app's database has just begun and is not known to be slow.
    pub(crate) fn is_new_run(&self) -> bool {
        let is_new = |run: &Applying| !run.slow && !run.elsewhere;
        self.applying.as_ref().is_some_and(is_new)
    }
}

pub(in crate::dev) fn print_applied(now: &[String]) {
    for name in now {
        line(format_args!("migrated {name}"));
    }
}

pub(super) fn print_state(now: &SchemaState) {
    let SchemaState {
        status, failure, ..
    } = now;
    if let Some(failure) = failure {
        line(format_args!("✗ {failure}"));
    } else if !status.pending.is_empty() {
        line(format_args!(
            "pending: {}; press m, use the button on the page, or run `just migrate`",
            status.pending.join(", ")
        ));
    }
}

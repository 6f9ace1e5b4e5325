//! How the database and `migrations/` stand to each other, and the words for it in the terminal.

use clap::ValueEnum;
use serde::Serialize;

use super::overseen::Applying;
use crate::{
    dev::terminal::line,
    migrate::{self, Failure},
};

/// When pending migrations are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Policy {
    /// At once.
    Auto,
    /// When a person says so; until then every request is told.
    Ask,
}

/// How database and files stand to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SchemaState {
    #[serde(flatten)]
    pub(crate) status: migrate::Status,
    pub(crate) failure: Option<Failure>,
    /// A run that goes on.
    pub(crate) applying: Option<Applying>,
    /// The failure is that there was no connection: what was to be done is done once there is one.
    #[serde(skip)]
    pub(crate) unreached: bool,
    /// Changes with each run that changed anything.
    #[serde(skip)]
    pub(super) revision: u64,
}

impl SchemaState {
    /// Tells one state that blocks from another; `None` if this one does not.
    pub(crate) fn revision(&self) -> Option<u64> {
        self.blocks().then_some(self.revision)
    }

    /// Whether the app is not to be asked: it would meet a schema it was not written for, or wait for the connection
    /// that a long migration has.
    fn blocks(&self) -> bool {
        let holds_up = |run: &Applying| run.slow && !run.elsewhere;
        self.differs() || self.applying.as_ref().is_some_and(holds_up)
    }

    /// Whether database and files differ.
    pub(crate) fn differs(&self) -> bool {
        self.failure.is_some() || !self.status.pending.is_empty()
    }

    /// Whether a run goes on of which nobody knows yet how long it takes.
    pub(crate) fn is_new_run(&self) -> bool {
        let is_new = |run: &Applying| !run.slow && !run.elsewhere;
        self.applying.as_ref().is_some_and(is_new)
    }
}

pub(super) fn tell_applied(now: &[String]) {
    for name in now {
        line(format_args!("migrated {name}"));
    }
}

pub(super) fn tell(now: &SchemaState) {
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

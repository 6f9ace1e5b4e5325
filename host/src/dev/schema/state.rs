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

    /// Whether the app would meet a schema it was not written for.
    pub(crate) fn blocks(&self) -> bool {
        self.failure.is_some() || !self.status.pending.is_empty()
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

//! What keeps the app from answering, or the last save from being live.

use chrono::{DateTime, Local};
use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Trouble {
    pub(crate) cause: Cause,
    /// A sentence.
    pub(crate) what: String,
    /// A second sentence: what the user can do.
    pub(crate) remedy: String,
    pub(crate) since: DateTime<Local>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cause {
    /// The private cluster is slow to start.
    Starting,
    /// The database cannot be reached.
    Database,
    /// A migration is slow.
    Migration,
    /// Migrations have failed or are pending.
    Schema,
    /// The last save does not compile.
    Build,
    /// The last save compiles but is not live.
    Load,
}

impl Cause {
    /// Whether something other than the app's code keeps it from answering normally.
    pub(crate) fn is_outage(self) -> bool {
        matches!(self, Self::Starting | Self::Database | Self::Migration)
    }
}

impl Trouble {
    pub(crate) fn new(cause: Cause, what: String, remedy: &str) -> Self {
        Self {
            cause,
            what,
            remedy: remedy.to_owned(),
            since: Local::now(),
        }
    }

    /// Keeps `since` if the cause is the same, even if the text has changed.
    pub(crate) fn continuing(self, before: Option<&Self>) -> Self {
        match before {
            Some(before) if before.cause == self.cause => Self {
                since: before.since,
                ..self
            },
            _ => self,
        }
    }
}

//! Reported by the usage tracker: who uses the connection, and how connections were lost.

use std::{fmt, panic::Location, time::Duration};

use serde::Serialize;

/// The line in the app that uses the database.
pub(super) type CallSite = &'static Location<'static>;

/// A current user of the connection.
#[derive(Clone, Debug, Serialize)]
pub struct Holder {
    /// Method, path and generation, what the host does, or `no request`.
    pub who: String,
    /// File, line and column of the call. `None` if it is the host's.
    pub at: Option<String>,
    /// For how long, in milliseconds.
    pub for_ms: u64,
    /// A transaction or a checkout. Otherwise a statement that shares the connection.
    pub alone: bool,
}

/// Connections that ended by themselves.
#[derive(Clone, Debug, Serialize)]
pub struct Loss {
    /// PostgreSQL's code and message, or the system's.
    pub reason: String,
    /// How often.
    pub times: u64,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.alone {
            "holds it alone"
        } else {
            "runs a statement"
        };
        let seconds = Duration::from_millis(self.for_ms).as_secs_f32();
        write!(f, "{} {how}", self.who)?;
        if let Some(at) = &self.at {
            write!(f, " at {at}")?;
        }
        write!(f, " for {seconds:.1} s")
    }
}

//! Reports that another database has come into use.

use std::time::Duration;

use super::Switched;
use crate::events::{Event, Events};

/// Reports that the database of `branch` has come into use, unless it was.
pub(in crate::database) fn report_switch(
    branch: String,
    switched: Switched,
    took: Duration,
    events: &Events,
) {
    let (from, copied) = match switched {
        Switched::Same => return,
        Switched::Claimed => (None, false),
        Switched::Back { from } => (Some(from), false),
        Switched::Copied { from } => (Some(from), true),
    };
    events.emit(Event::BranchDatabase {
        branch,
        from,
        copied,
        took,
    });
}

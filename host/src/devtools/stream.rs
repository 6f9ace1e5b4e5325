//! What the event streams of pages and of the dashboard have in common.

use std::time::Duration;

/// How soon a browser reconnects after the host has restarted.
pub(super) const COME_BACK: Duration = Duration::from_millis(300);

/// How many messages the client wants.
pub(super) fn messages(query: Option<&str>) -> usize {
    if query == Some("once") { 1 } else { usize::MAX }
}

//! Whether the server can be reached, as far as known.

use std::time::{Duration, Instant};

/// A failure younger than this is returned without another attempt, so that many requests to a server that is down do
/// not cause a storm of attempts. While it is down, a caller also waits no longer than this for another caller's
/// attempt. Neither delays the discovery that the server is back by more than this.
pub(super) const FAILURE_TTL: Duration = Duration::from_millis(100);

/// Whether the server can be reached, as far as known. For display and for the dev server's probe; nothing in this
/// crate depends on a subscriber.
#[derive(Clone, Debug, Default)]
pub enum Reach {
    /// No attempt yet, or none since the server was seen to answer again.
    #[default]
    Untried,
    /// The last attempt succeeded.
    Open,
    /// The connection ended by itself, and no attempt to reopen it has finished yet.
    Lost,
    /// The last attempt failed.
    Failed {
        /// When.
        at: Instant,
        /// The error, from the server or the network.
        reason: String,
    },
}

//! What the user can ask a running host to do, by key or button. The main loop carries actions out one after another.

use shared::PoolOwner;

use crate::config::Isolation;

/// An action of a running host. Quitting is not one of them: it must not queue behind a migration that waits for a
/// lock.
#[derive(Debug)]
pub(crate) enum Action {
    /// Build, though nothing was saved.
    Rebuild,
    /// Drain the pool and create a new one.
    NewPool,
    /// Apply what is pending.
    Migrate,
    /// Restart the host with other switches, on the same socket.
    Mode {
        pool: PoolOwner,
        isolation: Isolation,
    },
}

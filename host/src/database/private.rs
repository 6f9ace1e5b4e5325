//! Where the private cluster of a project is.

use std::path::Path;

use shared_cluster::Place;

use crate::config::environment;

/// The private cluster of the project at `root`. Its programs get the original environment: the app's secrets in `.env`,
/// or a `TZ` or `LD_PRELOAD` for the app, must not reach the server.
pub(super) fn place(root: &Path, max_connections: Option<u16>) -> Place {
    let limit = max_connections.map(|limit| ("max_connections", limit.to_string()));
    Place {
        environment: environment::for_children().cloned().collect(),
        settings: limit.into_iter().collect(),
        ..Place::new(root, ".dev/postgres")
    }
}

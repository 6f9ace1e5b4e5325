//! The paths of a project's cluster: data, log and socket, in folders that only their owner can enter.
//!
//! Inside the project, unless the server runs as another user or the socket's path would be too long.

use std::{
    os::unix::fs::chown,
    path::{Path, PathBuf},
};

use shared_db::DatabaseUrl;

pub(super) use crate::socket::PORT;

use crate::socket::{self, temp_folder};
use crate::{PostgresError, place::Place, run_as::RunAs};

/// The superuser of a cluster.
pub const USER: &str = "postgres";
const DATABASE: &str = "postgres";

/// The three paths.
pub(super) struct Paths {
    pub(super) data: PathBuf,
    pub(super) socket: PathBuf,
    pub(super) log: PathBuf,
}

impl Paths {
    /// Creates missing folders.
    pub(super) fn of(place: &Place, run_as: &RunAs) -> Result<Self, PostgresError> {
        // Another user cannot reach into a project below a home folder of mode 0700.
        let base = match run_as {
            RunAs::Other { .. } => temp_folder(&place.root),
            RunAs::Same | RunAs::Namespace => place.root.join(&place.folder),
        };
        make_private(&base, run_as)?;
        let base = base.canonicalize().map_err(PostgresError::file(&base))?;
        let paths = Self {
            data: base.join("data"),
            log: base.join("log"),
            socket: socket::folder(&base, "socket", &place.root),
        };
        paths.make(run_as)?;
        Ok(paths)
    }

    /// Creates missing folders.
    pub(super) fn make(&self, run_as: &RunAs) -> Result<(), PostgresError> {
        for place in [&self.data, &self.socket] {
            make_private(place.parent().unwrap_or(place), run_as)?;
        }
        make_private(&self.socket, run_as)
    }

    pub(super) fn url(&self, user: &str) -> DatabaseUrl {
        DatabaseUrl::socket(&self.socket, PORT, user, DATABASE)
    }

    /// For a driver of the app's own.
    pub(super) fn url_text(&self, user: &str) -> String {
        socket::url(&self.socket, user, DATABASE)
    }
}

fn make_private(folder: &Path, run_as: &RunAs) -> Result<(), PostgresError> {
    socket::make_private(folder).map_err(PostgresError::file(folder))?;
    if let RunAs::Other { uid, gid } = run_as {
        chown(folder, Some(uid.as_raw()), Some(gid.as_raw()))
            .map_err(PostgresError::file(folder))?;
    }
    Ok(())
}

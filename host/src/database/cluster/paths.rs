//! The paths of a project's cluster: data, log and socket, in folders that only their owner can enter.
//!
//! Inside the project, unless the server runs as another user or the socket's path would be too long.

use std::{
    os::unix::fs::chown,
    path::{Path, PathBuf},
};

use shared::db::DatabaseUrl;

pub(super) use crate::database::socket::PORT;

use super::{PostgresError, run_as::RunAs};
use crate::database::socket::{self, temp_folder};

pub(crate) const USER: &str = "postgres";
const DATABASE: &str = "postgres";

/// The three paths.
pub(super) struct Paths {
    pub(super) data: PathBuf,
    pub(super) socket: PathBuf,
    pub(super) log: PathBuf,
}

impl Paths {
    /// The paths for the project at `root`. Creates missing folders.
    pub(super) fn of(root: &Path, run_as: &RunAs) -> Result<Self, PostgresError> {
        // Another user cannot reach into a project below a home folder of mode 0700.
        let base = match run_as {
            RunAs::Other { .. } => temp_folder(root),
            RunAs::Same | RunAs::Namespace => root.join(".dev/postgres"),
        };
        make_private(&base, run_as)?;
        let base = base.canonicalize().map_err(PostgresError::file(&base))?;
        let paths = Self {
            data: base.join("data"),
            log: base.join("log"),
            socket: socket::folder(&base, "socket", root),
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

/// The URL of this project's cluster, running or not.
pub(crate) fn url_of(root: &Path) -> Result<DatabaseUrl, PostgresError> {
    Ok(Paths::of(root, &RunAs::choose()?)?.url(USER))
}

fn make_private(folder: &Path, run_as: &RunAs) -> Result<(), PostgresError> {
    socket::make_private(folder).map_err(PostgresError::file(folder))?;
    if let RunAs::Other { uid, gid } = run_as {
        chown(folder, Some(uid.as_raw()), Some(gid.as_raw()))
            .map_err(PostgresError::file(folder))?;
    }
    Ok(())
}

//! Where the cluster of a project lies: data, log, socket, all in folders that nobody else can enter.
//!
//! Below the project, unless another user must reach it, or the socket's path would be too long.

use std::{
    fs::{self, DirBuilder, Permissions},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, PermissionsExt, chown},
    },
    path::{Path, PathBuf},
};

use shared::db::DatabaseUrl;

use super::{PostgresError, run_as::RunAs};

/// A private cluster has its folder to itself, so every one of them can have the same port in its socket's name.
pub(super) const PORT: u16 = 5432;
pub(super) const USER: &str = "postgres";
const DATABASE: &str = "postgres";

/// A Unix socket's whole path may have this many bytes.
const SOCKET_PATH_LIMIT: usize = 107;

/// The three places.
pub(super) struct Paths {
    pub(super) data: PathBuf,
    pub(super) socket: PathBuf,
    pub(super) log: PathBuf,
}

impl Paths {
    /// Those of the project at `root`, made if they are missing.
    pub(super) fn of(root: &Path, run_as: &RunAs) -> Result<Self, PostgresError> {
        // Another user cannot reach into a project below a home folder of mode 0700.
        let base = match run_as {
            RunAs::Other { .. } => temp_folder(root),
            RunAs::Same | RunAs::Namespace => root.join(".dev/postgres"),
        };
        make_private(&base, run_as)?;
        let base = base.canonicalize().map_err(PostgresError::file(&base))?;
        // Below the project if the path is short enough, and else in the system's folder for such things.
        let mut socket = base.join("socket");
        if socket
            .join(format!(".s.PGSQL.{PORT}.lock"))
            .as_os_str()
            .len()
            > SOCKET_PATH_LIMIT
        {
            socket = temp_folder(root).join("s");
        }
        let paths = Self {
            data: base.join("data"),
            log: base.join("log"),
            socket,
        };
        paths.make(run_as)?;
        Ok(paths)
    }

    /// Makes the folders that are missing.
    pub(super) fn make(&self, run_as: &RunAs) -> Result<(), PostgresError> {
        for place in [&self.data, &self.socket] {
            make_private(place.parent().unwrap_or(place), run_as)?;
        }
        make_private(&self.socket, run_as)
    }

    pub(super) fn url(&self, user: &str) -> DatabaseUrl {
        DatabaseUrl::socket(&self.socket, PORT, user, DATABASE)
    }
}

/// Where a cluster of this project listens, running or not.
pub(crate) fn url_of(root: &Path) -> Result<DatabaseUrl, PostgresError> {
    Ok(Paths::of(root, &RunAs::choose()?)?.url(USER))
}

/// A folder for this project in the system's temporary one: the same at every start, another for every project.
fn temp_folder(root: &Path) -> PathBuf {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    root.as_os_str().as_bytes().hash(&mut hasher);
    std::env::temp_dir().join(format!(
        "host-dev-{}-{:016x}",
        nix::unistd::geteuid(),
        hasher.finish()
    ))
}

fn make_private(folder: &Path, run_as: &RunAs) -> Result<(), PostgresError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(PostgresError::file(folder))?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))
        .map_err(PostgresError::file(folder))?;
    if let RunAs::Other { uid, gid } = run_as {
        chown(folder, Some(uid.as_raw()), Some(gid.as_raw()))
            .map_err(PostgresError::file(folder))?;
    }
    Ok(())
}

//! The paths of a project's cluster: data, log and socket, in folders that only their owner can enter.
//!
//! Inside the project, unless the server runs as another user or the socket's path would be too long.

use std::{
    fs::{self, DirBuilder, Permissions},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, PermissionsExt, chown},
    },
    path::{Path, PathBuf},
};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use shared::db::DatabaseUrl;

use super::{PostgresError, run_as::RunAs};

/// The port in the socket's name. Can be the same for all private clusters, since each has its own folder.
pub(super) const PORT: u16 = 5432;
pub(crate) const USER: &str = "postgres";
const DATABASE: &str = "postgres";

/// The maximum length of a Unix socket's path, in bytes.
const SOCKET_PATH_LIMIT: usize = 107;

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
        // Inside the project if the path is short enough, otherwise in the system's temporary folder.
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

    /// For drivers of all kinds: libpq, sqlx and tokio-postgres understand an encoded folder in the host's place. Beside
    /// a host, as `?host=`, tokio-postgres takes it for a second server. The port is for those that read `PGPORT`.
    pub(super) fn url_text(&self, user: &str) -> String {
        let socket = percent_encode(self.socket.as_os_str().as_bytes(), NON_ALPHANUMERIC);
        format!("postgres://{user}@{socket}:{PORT}/{DATABASE}")
    }
}

/// The URL of this project's cluster, running or not.
pub(crate) fn url_of(root: &Path) -> Result<DatabaseUrl, PostgresError> {
    Ok(Paths::of(root, &RunAs::choose()?)?.url(USER))
}

/// A folder in the system's temporary folder: always the same for a project, different for each project.
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

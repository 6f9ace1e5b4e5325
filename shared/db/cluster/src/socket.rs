//! Unix sockets of this project, each in a folder that only its owner can enter, and their URLs.

use std::{
    fs::{self, DirBuilder, Permissions},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

/// The port in a socket's name. Can be the same for all, since each has its own folder.
pub const PORT: u16 = 5432;

/// The maximum length of a Unix socket's path, in bytes.
const PATH_LIMIT: usize = 107;

/// The folder `name` in `base`, or, if a socket's path would be too long there, one in the system's temporary folder.
pub fn folder(base: &Path, name: &str, root: &Path) -> PathBuf {
    let folder = base.join(name);
    // The server's lock file has the longest name.
    let longest = folder.join(format!(".s.PGSQL.{PORT}.lock"));
    if longest.as_os_str().len() <= PATH_LIMIT {
        return folder;
    }
    temp_folder(root).join(&name[..1])
}

/// A folder in the system's temporary folder: always the same for a project, different for each project.
pub fn temp_folder(root: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    root.as_os_str().as_bytes().hash(&mut hasher);
    std::env::temp_dir().join(format!(
        "host-dev-{}-{:016x}",
        nix::unistd::geteuid(),
        hasher.finish()
    ))
}

/// Makes the folder, unless it is there, and keeps others out.
pub fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))
}

/// For drivers of all kinds: libpq, sqlx and tokio-postgres understand an encoded folder in the host's place. Beside a
/// host, as `?host=`, tokio-postgres takes it for a second server. The port is for those that read `PGPORT`.
pub fn url(folder: &Path, user: &str, database: &str) -> String {
    let folder = encode(folder.as_os_str().as_bytes());
    let (user, database) = (encode(user.as_bytes()), encode(database.as_bytes()));
    format!("postgres://{user}@{folder}:{PORT}/{database}")
}

fn encode(bytes: &[u8]) -> impl std::fmt::Display {
    percent_encode(bytes, NON_ALPHANUMERIC)
}

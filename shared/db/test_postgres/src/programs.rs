//! PostgreSQL's programs, started as it wants: not as root, and with files of its own.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::unistd::{Uid, User};
use tempfile::TempDir;

/// A folder that the server may enter.
///
/// # Panics
///
/// Like all here: if anything fails.
pub fn new_folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    give_away(folder.path(), 0o755);
    folder
}

/// A folder with an empty cluster in `data`, which lets in whom `hba` says.
pub fn cluster(hba: &str) -> TempDir {
    let folder = new_folder();
    let data = folder.path().join("data");
    let made = program("initdb")
        .arg("-D")
        .arg(&data)
        .args(["-U", "postgres", "-A", "trust", "--no-sync", "--locale=C"])
        .args(["--encoding=UTF8", "--no-instructions"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    fs::write(data.join("pg_hba.conf"), hba).unwrap();
    folder
}

/// Starts the server of the cluster in `folder`: on a socket there and on loopback, with a log in `log`.
pub fn serve(folder: &Path, port: u16, settings: &[&str]) -> Child {
    program("postgres")
        .arg("-D")
        .arg(folder.join("data"))
        .arg("-k")
        .arg(folder)
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
        .args(["-c", "fsync=off", "-c", "logging_collector=off"])
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap()
}

/// A port of loopback that nobody uses now.
pub fn free_port() -> u16 {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// One of PostgreSQL's programs, as a user that it accepts.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(binaries().join(name));
    command.current_dir("/").process_group(0);
    if let Some(user) = stand_in() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

/// Gives a file or a folder to that user.
pub fn give_away(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if let Some(user) = stand_in() {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }
}

/// PostgreSQL refuses to run as root.
fn stand_in() -> Option<User> {
    let root = Uid::effective().is_root();
    root.then(|| {
        User::from_name("nobody")
            .unwrap()
            .expect("every system has nobody")
    })
}

/// From `PGBIN`, the path, or where Debian has them.
fn binaries() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::var_os("PGBIN").map(PathBuf::from);
    let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    named
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(packaged.map(|version| version.unwrap().path().join("bin")))
        // Links resolved: not all of the programs may have one.
        .find_map(|folder| {
            let initdb = folder.join("initdb").canonicalize().ok()?;
            Some(initdb.parent()?.to_owned())
        })
        .expect("PostgreSQL's binaries")
}

//! Which host runs in a project: one at a time, and where others find it.

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::Write,
    net::SocketAddr,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::PathBuf,
};

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use serde::{Deserialize, Serialize};

use super::project::{Project, ProjectError};

/// How to find a running host.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunningHost {
    pub(crate) pid: u32,
    pub(crate) address: SocketAddr,
    /// Lets commands do what the buttons of its pages do. `None`: it is starting.
    #[serde(default)]
    pub(crate) token: Option<String>,
    /// Whether each branch has a database of its own.
    #[serde(default)]
    pub(crate) branch_databases: bool,
}

impl Project {
    /// Locks the project for this process: two hosts would conflict over the cluster and the published library.
    ///
    /// The lock is on the folder itself, which `git clean` cannot remove.
    pub(crate) fn lock(&self) -> Result<Lock, ProjectError> {
        let root = self.open_root()?;
        match root.try_lock() {
            Ok(()) => Ok(Lock {
                _root: root,
                announced: self.announced(),
                token: None,
                branch_databases: self.repository().is_some(),
            }),
            Err(TryLockError::WouldBlock) => {
                let running = self.read_announced().ok_or(ProjectError::Busy)?;
                let running = format!("pid {}, http://{}", running.pid, running.address);
                Err(ProjectError::InUse { running })
            }
            Err(TryLockError::Error(source)) => Err(ProjectError::File {
                path: self.root().to_owned(),
                source,
            }),
        }
    }

    /// The host that runs here.
    pub(crate) fn running(&self) -> Result<RunningHost, ProjectError> {
        // A shared lock, so that two commands that check at the same time do not mistake each other for a host.
        match self.open_root()?.try_lock_shared() {
            Err(TryLockError::WouldBlock) => self.read_announced().ok_or(ProjectError::NotRunning),
            _ => Err(ProjectError::NotRunning),
        }
    }

    fn open_root(&self) -> Result<File, ProjectError> {
        File::open(self.root()).map_err(|source| ProjectError::File {
            path: self.root().to_owned(),
            source,
        })
    }

    fn read_announced(&self) -> Option<RunningHost> {
        let running: RunningHost =
            serde_json::from_slice(&fs::read(self.announced()).ok()?).ok()?;
        // A host leaves the file behind.
        let pid = Pid::from_raw(running.pid.cast_signed());
        (kill(pid, None) != Err(Errno::ESRCH)).then_some(running)
    }

    fn announced(&self) -> PathBuf {
        self.root().join(".dev/host.json")
    }
}

/// Holds the project's lock until it is dropped or the process ends.
pub(crate) struct Lock {
    _root: File,
    announced: PathBuf,
    /// As in [`RunningHost`].
    token: Option<String>,
    branch_databases: bool,
}

impl Lock {
    /// Commands may use this token from now on.
    pub(crate) fn offer(&mut self, address: SocketAddr, token: &str) -> Result<(), ProjectError> {
        self.token = Some(token.to_owned());
        self.announce(address)
    }

    /// Writes PID and address to `.dev/host.json`, for other commands and for a second `host dev`.
    pub(crate) fn announce(&self, address: SocketAddr) -> Result<(), ProjectError> {
        let running = serde_json::to_vec(&RunningHost {
            pid: std::process::id(),
            address,
            token: self.token.clone(),
            branch_databases: self.branch_databases,
        })
        .expect("a number and texts");
        let folder = self.announced.parent().unwrap_or(&self.announced);
        // With the token, it is for this user alone.
        let write = || {
            fs::create_dir_all(folder)?;
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&self.announced)?;
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.write_all(&running)
        };
        write().map_err(|source| ProjectError::File {
            path: self.announced.clone(),
            source,
        })
    }

    /// Writes the file again if it was deleted.
    pub(crate) fn announce_again(&self, address: SocketAddr) -> Result<(), ProjectError> {
        match self.announced.exists() {
            true => Ok(()),
            false => self.announce(address),
        }
    }
}

//! The checkout this command works in: found from the working folder, used by one host at a time.

use std::{
    env,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::dotenv;

/// Why there is no project to work in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProjectError {
    #[error("no project here: app_lib/Cargo.toml and host/Cargo.toml are neither in {} nor in a folder above it", .0.display())]
    NotFound(PathBuf),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Dotenv {
        path: PathBuf,
        source: dotenvy::Error,
    },
    #[error(
        "`host dev` is already running in this checkout ({running}): use that one, stop it, or work in another clone"
    )]
    InUse { running: String },
    #[error("`host dev` is not running in this checkout: start it with `cargo dev`")]
    NotRunning,
}

/// The root of the checkout.
#[derive(Clone)]
pub(crate) struct Project {
    root: PathBuf,
}

/// What a running host says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    pub(crate) address: SocketAddr,
}

impl Project {
    /// The nearest folder, from the working folder upward, that is one.
    pub(crate) fn find() -> Result<Self, ProjectError> {
        let here = env::current_dir().map_err(|source| ProjectError::File {
            path: ".".into(),
            source,
        })?;
        let root = here.ancestors().find(|folder| {
            ["app_lib", "host"]
                .iter()
                .all(|package| folder.join(package).join("Cargo.toml").is_file())
        });
        match root {
            Some(root) => Ok(Self {
                root: root.to_owned(),
            }),
            None => Err(ProjectError::NotFound(here)),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn migrations(&self) -> PathBuf {
        self.root.join("migrations")
    }

    /// The variables of `.env`, if there is one.
    pub(crate) fn dotenv(&self) -> Result<Vec<(String, String)>, ProjectError> {
        let path = self.root.join(".env");
        dotenv::read(&path).map_err(|source| ProjectError::Dotenv { path, source })
    }

    /// Takes the checkout for this process: two hosts would fight over the cluster and the published library.
    pub(crate) fn lock(&self) -> Result<Lock, ProjectError> {
        let path = self.lock_file();
        let fail = |source| ProjectError::File {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(self.root.join(".dev")).map_err(fail)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(fail)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { file, path }),
            Err(TryLockError::WouldBlock) => {
                let running = self.read_lock_file().map_or_else(
                    || "starting".to_owned(),
                    |running| format!("pid {}, http://{}", running.pid, running.address),
                );
                Err(ProjectError::InUse { running })
            }
            Err(TryLockError::Error(source)) => Err(fail(source)),
        }
    }

    /// The host that runs here.
    pub(crate) fn running(&self) -> Result<Running, ProjectError> {
        let Ok(file) = File::open(self.lock_file()) else {
            return Err(ProjectError::NotRunning);
        };
        // Shared: two that look must not take each other for a host.
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => self.read_lock_file().ok_or(ProjectError::NotRunning),
            _ => Err(ProjectError::NotRunning),
        }
    }

    fn read_lock_file(&self) -> Option<Running> {
        serde_json::from_slice(&fs::read(self.lock_file()).ok()?).ok()
    }

    fn lock_file(&self) -> PathBuf {
        self.root.join(".dev/host.json")
    }
}

/// The checkout is this process's until this is dropped, or until the process ends however it ends.
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Writes down who has it, for `host connections` and for whoever comes second.
    pub(crate) fn announce(&self, address: SocketAddr) -> Result<(), ProjectError> {
        let running = serde_json::to_vec(&Running {
            pid: std::process::id(),
            address,
        })
        .expect("a number and an address");
        let written = self
            .file
            .set_len(0)
            .and_then(|()| (&self.file).write_all(&running));
        written.map_err(|source| ProjectError::File {
            path: self.path.clone(),
            source,
        })
    }
}

//! Where everything happens: a folder under `target`, with copies of the workspace that are edited.
//!
//! On the file system of `target`, since compiled files are linked and not copied. Removed at the end, and whatever a
//! run that was killed has left, at the start.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use host_demo::copy;
use shared::BoxError;

use crate::command::cargo;

/// The folder, removed when dropped.
pub(crate) struct Scratch {
    pub(crate) workspace: PathBuf,
    folder: PathBuf,
    /// Two at once would be in each other's way, and their numbers worth nothing.
    _alone: File,
}

impl Scratch {
    pub(crate) fn new() -> Result<Self, BoxError> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .ok_or("the host is a folder of the workspace")?
            .to_owned();
        let target = workspace.join("target");
        let alone = File::open(&target)?;
        alone.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => "another `just bench-reload` runs here".to_owned(),
            TryLockError::Error(error) => error.to_string(),
        })?;
        let folder = target.join("bench-reload");
        remove(&folder)?;
        fs::create_dir_all(&folder)?;
        Ok(Self {
            workspace,
            folder,
            _alone: alone,
        })
    }

    /// Builds the workspace as `cargo dev` does: what copies start from.
    pub(crate) async fn build(&self) -> Result<(), BoxError> {
        cargo(&self.workspace, "build --profile hot")
            .await
            .map(drop)
    }

    /// A copy of the workspace with its build.
    pub(crate) fn copy(&self, name: &str) -> io::Result<PathBuf> {
        let to = self.folder.join(name);
        copy::workspace(&self.workspace, &to)?;
        Ok(to)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.folder) {
            eprintln!("cannot remove {}: {error}", self.folder.display());
        }
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

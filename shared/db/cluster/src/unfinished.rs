//! What is being made and is of no use until it is complete: a folder, and the program that fills it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use crate::{PostgresError, wait::poll};

/// A folder that is removed when this is dropped, unless it has become something else.
pub(super) struct Unfinished(PathBuf);

impl Unfinished {
    /// Removes what was left there by a process that was killed while it did this.
    pub(super) fn at(folder: PathBuf) -> Result<Self, PostgresError> {
        remove(&folder).map_err(PostgresError::file(&folder))?;
        Ok(Self(folder))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            tracing::debug!("{}: {error}", self.0.display()); // the next start tries again, and says so
        }
    }
}

/// A program in a process group of its own. Dropping it kills the group, unless it has ended well.
pub(super) struct Running {
    child: Child,
    done: bool,
}

impl Running {
    /// Starts `command`, which must have a group of its own.
    pub(super) fn start(command: &mut Command) -> Result<Self, PostgresError> {
        let child = command.spawn().map_err(|source| {
            let program = command.get_program().to_string_lossy().into_owned();
            PostgresError::Run { program, source }
        })?;
        Ok(Self { child, done: false })
    }

    /// Waits for its end; `None` at the limit.
    pub(super) async fn end(
        &mut self,
        limit: Duration,
        on_wait: &mut dyn FnMut(String),
        describe: impl Fn() -> String,
    ) -> Option<io::Result<ExitStatus>> {
        let ended = poll(limit, on_wait, describe, || {
            self.child.try_wait().transpose()
        });
        let ended = ended.await;
        self.done = matches!(&ended, Some(Ok(status)) if status.success());
        ended
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        // The whole group: its children write to the folder too.
        let group = Pid::from_raw(self.child.id().cast_signed());
        if killpg(group, Signal::SIGKILL).is_ok()
            && let Err(error) = self.child.wait()
        {
            tracing::debug!("a program that was killed: {error}");
        }
    }
}

/// Removes a folder that may be missing.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

//! A compiler as a process: in a group of its own that ends with us.

use std::{
    ffi::OsStr,
    io,
    path::Path,
    process::{ExitStatus, Stdio},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use super::user::restore_user_environment;

/// A command in `root` whose output is read.
pub(super) fn command(program: impl AsRef<OsStr>, root: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    restore_user_environment(command.as_std_mut(), root);
    command
}

/// A running compiler in a process group of its own: Ctrl-C in the terminal does not reach it, our drop does.
pub(super) struct Group(Child);

impl Group {
    pub(super) fn spawn(command: &mut Command) -> io::Result<(Self, ChildStdout, ChildStderr)> {
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().expect("piped by `command`");
        let stderr = child.stderr.take().expect("piped by `command`");
        Ok((Self(child), stdout, stderr))
    }

    /// One whose output nobody reads.
    pub(super) fn spawn_silent(command: &mut Command) -> io::Result<Self> {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Self)
    }

    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // `id` is None once it was awaited: nothing to end. Else the whole group, because a rustc left behind
        // would write into the directory that the next build uses. tokio reaps the child.
        if let Some(id) = self.0.id()
            && let Err(errno) = killpg(Pid::from_raw(id.cast_signed()), Signal::SIGKILL)
        {
            tracing::debug!("ending the compiler: {errno}"); // it ended by itself just now
        }
    }
}

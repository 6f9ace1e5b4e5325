//! A compiler process in its own process group, which is killed when dropped.

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

use crate::config::environment::{prepare_compiler, restore_user_environment};

/// The same as [`command`], with what macros need while they expand, such as the URL of the app's database.
pub(super) fn compiler(program: impl AsRef<OsStr>, root: &Path) -> Command {
    let mut compiler = command(program, root);
    prepare_compiler(compiler.as_std_mut());
    compiler
}

/// A command that runs in `root` with piped output and the user's environment.
pub(crate) fn command(program: impl AsRef<OsStr>, root: &Path) -> Command {
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

/// A running compiler. In its own process group it does not get a Ctrl-C from the terminal; dropping this kills it.
pub(crate) struct Group(Child);

impl Group {
    pub(crate) fn spawn(command: &mut Command) -> io::Result<(Self, ChildStdout, ChildStderr)> {
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().expect("piped by `command`");
        let stderr = child.stderr.take().expect("piped by `command`");
        Ok((Self(child), stdout, stderr))
    }

    /// Spawns without reading the output.
    pub(super) fn spawn_silent(command: &mut Command) -> io::Result<Self> {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Self)
    }

    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // `id` is `None` if the child has been awaited. Otherwise kill the whole group: a leftover rustc would write
        // into the folder that the next build uses. tokio reaps the child.
        if let Some(id) = self.0.id()
            && let Err(errno) = killpg(Pid::from_raw(id.cast_signed()), Signal::SIGKILL)
        {
            tracing::debug!("ending the compiler: {errno}"); // it has just exited by itself
        }
    }
}

//! A compiler as a process: in a group of its own that ends with us, in the environment that the person had.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::environment;

/// A command in `root` whose output is read.
pub(super) fn command(program: impl AsRef<OsStr>, root: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    as_the_person_had_it(command.as_std_mut(), root);
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
    pub(super) fn silent(command: &mut Command) -> io::Result<Self> {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Self)
    }

    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
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

/// Gives a command the user's environment: without what `.env` has added to ours, and without what `cargo run` put into
/// it. Fingerprints include parts of it, and with a difference everything would be built again, into libraries that do
/// not fit the running host.
pub(crate) fn as_the_person_had_it(command: &mut std::process::Command, root: &Path) {
    command.env_clear();
    for (name, value) in environment::to_inherit() {
        let key = name.to_str().unwrap_or_default();
        let set_by_cargo = key == "CARGO"
            || key == "OUT_DIR"
            || [
                "CARGO_PKG_",
                "CARGO_MANIFEST_",
                "CARGO_BIN_",
                "CARGO_CRATE_",
                "CARGO_PRIMARY_",
            ]
            .iter()
            .any(|prefix| key.starts_with(prefix));
        if set_by_cargo {
            continue;
        }
        if !matches!(key, "LD_LIBRARY_PATH" | "DYLD_FALLBACK_LIBRARY_PATH") {
            command.env(name, value);
            continue;
        }
        // `cargo run` prepends the target folder and the toolchain's; what is left was the user's.
        let own: Vec<PathBuf> = std::env::split_paths(value)
            .filter(|path| {
                !path.starts_with(root)
                    && !path.components().any(|part| part.as_os_str() == "rustlib")
            })
            .collect();
        if let Ok(own) = std::env::join_paths(&own)
            && !own.is_empty()
        {
            command.env(name, own);
        }
    }
}

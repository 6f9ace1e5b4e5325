//! Replaces this process by its own new build, under the same PID and with the same listening socket.
//!
//! Its code has changed, or it keeps too much old code of the app. Owns the question whether the host's files have changed, and the `exec`. The socket crosses it as file descriptor
//! 3 (listenfd's convention): whoever connects meanwhile waits in the kernel's queue. Called from the main thread
//! only: `exec` ends every other thread, and the death of the thread that spawned the cluster would stop it.

use std::{
    env, io, net::TcpListener, os::unix::process::CommandExt, path::PathBuf, process::Command,
};

use command_fds::{CommandFdExt, FdMapping};
use serde::{Deserialize, Serialize};
use shared::PoolOwner;

use crate::{
    environment::{self, CARRIED},
    identity::Identities,
    reload::{Isolation, Reloads},
};

/// The descriptor that listenfd looks at first.
const LISTEN_FD: i32 = 3;

/// The files this process runs from, as they were when it started.
pub(crate) struct Image {
    /// Kept from the start: once the linker has replaced the file, the system only knows a deleted one.
    executable: PathBuf,
    files: Identities,
}

impl Image {
    pub(crate) fn of_this_process() -> io::Result<Self> {
        let executable = env::current_exe()?;
        let dylib = format!(
            "{}shared_dylib{}",
            env::consts::DLL_PREFIX,
            env::consts::DLL_SUFFIX
        );
        let beside = executable.with_file_name(dylib);
        let files = Identities::of([executable.clone(), beside]);
        Ok(Self { executable, files })
    }

    /// Whether a build has replaced any of them: the host's code, or the `shared` that app and host agree on.
    pub(crate) fn has_changed(&self) -> bool {
        self.files.have_changed()
    }

    pub(crate) fn executable(&self) -> PathBuf {
        self.executable.clone()
    }
}

/// What the next image goes on from.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Carried {
    /// Generation ids only grow, over restarts too.
    pub(crate) last_id: u64,
    pub(crate) reloads: Reloads,
    pub(crate) restarts: u64,
    /// Why the last of them was.
    pub(crate) why: Option<String>,
    /// The switches, if a person has turned them since the command line was written.
    pub(crate) mode: Option<(PoolOwner, Isolation)>,
}

impl Carried {
    /// What the image before left, or a first start.
    pub(crate) fn take() -> Self {
        env::var(CARRIED)
            .ok()
            .and_then(|json| serde_json::from_str(&json).ok())
            .unwrap_or_default()
    }
}

/// Everything is drained; only the `exec` is left to do.
pub(crate) struct Restart {
    pub(crate) executable: PathBuf,
    pub(crate) listener: TcpListener,
    pub(crate) carried: Carried,
}

/// The new build did not take over.
#[derive(Debug, thiserror::Error)]
#[error("cannot restart as {}: {source}; start again with `cargo dev`", executable.display())]
pub(crate) struct RestartError {
    executable: PathBuf,
    source: io::Error,
}

impl Restart {
    /// Does not return if it succeeds.
    pub(crate) fn exec(self) -> RestartError {
        let carried = serde_json::to_string(&self.carried).expect("numbers and strings");
        let mut next = Command::new(&self.executable);
        next.args(env::args_os().skip(1))
            .env_clear()
            .envs(environment::to_inherit().map(|(name, value)| (name, value)))
            .env("LISTEN_FDS", "1")
            .env("LISTEN_PID", std::process::id().to_string())
            .env(CARRIED, carried);
        let socket = FdMapping {
            parent_fd: self.listener.into(),
            child_fd: LISTEN_FD,
        };
        let source = match next.fd_mappings(vec![socket]) {
            Ok(next) => next.exec(),
            Err(collision) => io::Error::other(collision),
        };
        RestartError {
            executable: self.executable,
            source,
        }
    }
}

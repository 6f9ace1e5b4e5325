//! Replaces this process with its own new build, under the same PID and with the same listening socket.
//!
//! Needed when the host's code has changed or old code of the app uses too much memory. Detects changes to the host's
//! files and calls `exec`. Passed across it are the listening socket as file descriptor 3 (listenfd's convention), so
//! that connections wait in the kernel's queue, and a memory file with the state to continue from. Both are taken out
//! of the environment again, so that child processes do not find them. Called on the main thread only: `exec` ends
//! every other thread, and the cluster stops when the thread that spawned it ends.

use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    net::TcpListener,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::PathBuf,
    process::Command,
};

use command_fds::{CommandFdExt, FdMapping};
use listenfd::ListenFd;
use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
    unistd::close,
};
use serde::{Deserialize, Serialize};
use shared::PoolOwner;

use crate::{
    config::{Isolation, environment::restore_user_environment},
    events::Reloads,
};

/// The first descriptor in listenfd's convention.
const LISTEN_FD: i32 = 3;

/// The next descriptor: a memory file with [`Carried`].
const CARRIED_FD: i32 = 4;

/// The state that the next process image continues from.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Carried {
    /// Generation ids only grow, also across restarts.
    pub(crate) last_id: u64,
    pub(crate) reloads: Reloads,
    pub(crate) restarts: u64,
    /// The reason for the last restart.
    pub(crate) why: Option<String>,
    /// The mode, if the user has changed it since the host was started.
    pub(crate) mode: Option<(PoolOwner, Isolation)>,
    /// Whether tests run after each save, as the user has switched it last.
    pub(crate) tests: Option<bool>,
}

/// What this process image got from the previous one; nothing on a first start.
pub(crate) struct Inherited {
    pub(crate) listener: Option<TcpListener>,
    pub(crate) carried: Carried,
}

impl Inherited {
    /// Call it once: it also removes the variables from the environment.
    pub(crate) fn take() -> io::Result<Self> {
        let mut passed = ListenFd::from_env();
        let listener = passed.take_tcp_listener(0)?;
        if let Some(listener) = &listener {
            // It had to cross `exec` without close-on-exec; from now on children must not inherit it.
            fcntl(listener.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
            listener.set_nonblocking(true)?;
        }
        let carried = match passed.take_raw_fd(1)? {
            Some(memory) => {
                let json = fs::read(format!("/proc/self/fd/{memory}"));
                close(memory)?;
                // Ignore a second descriptor that something else passed.
                json.ok()
                    .and_then(|json| serde_json::from_slice(&json).ok())
            }
            None => None,
        };
        Ok(Self {
            listener,
            carried: carried.unwrap_or_default(),
        })
    }
}

/// A restart that is ready: everything is drained, and only `exec` is left.
pub(crate) struct Restart {
    pub(crate) root: PathBuf,
    pub(crate) executable: PathBuf,
    pub(crate) listener: TcpListener,
    pub(crate) carried: Carried,
}

/// The new build could not be executed.
#[derive(Debug, thiserror::Error)]
#[error("cannot restart as {}: {source}; start again with `cargo dev`", executable.display())]
pub(crate) struct RestartError {
    executable: PathBuf,
    source: io::Error,
}

impl Restart {
    /// Returns only if it fails.
    pub(crate) fn exec(self) -> RestartError {
        let executable = self.executable.clone();
        let source = self.replace_image();
        RestartError { executable, source }
    }

    fn replace_image(self) -> io::Error {
        let memory = match in_memory(&self.carried) {
            Ok(memory) => memory,
            Err(error) => return error,
        };
        let mut next = Command::new(&self.executable);
        next.args(env::args_os().skip(1));
        restore_user_environment(&mut next, &self.root);
        next.env("LISTEN_FDS", "2")
            .env("LISTEN_PID", std::process::id().to_string());
        let passed = vec![
            FdMapping {
                parent_fd: self.listener.into(),
                child_fd: LISTEN_FD,
            },
            FdMapping {
                parent_fd: memory,
                child_fd: CARRIED_FD,
            },
        ];
        match next.fd_mappings(passed) {
            Ok(next) => next.exec(),
            Err(collision) => io::Error::other(collision),
        }
    }
}

fn in_memory(carried: &Carried) -> io::Result<OwnedFd> {
    let mut memory = File::from(memfd_create("carried", MFdFlags::MFD_CLOEXEC)?);
    memory.write_all(&serde_json::to_vec(carried)?)?;
    Ok(memory.into())
}

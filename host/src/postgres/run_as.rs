//! As whom the server runs, and that it ends with this process.
//!
//! PostgreSQL refuses to run as root. As root we give it a user namespace in which it is somebody else while its files
//! stay ours; where the system forbids namespaces, it runs as the user `postgres` or `nobody`, on files of theirs.
//! Everybody else runs it as themselves.

#![expect(unsafe_code, reason = "code between fork and exec")]

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use nix::{
    fcntl::{OFlag, open},
    sched::{CloneFlags, unshare},
    sys::{prctl, signal::Signal, stat::Mode},
    unistd::{Gid, Uid, User, getppid, write},
};

use super::PostgresError;
use crate::environment;

/// As whom PostgreSQL's programs run.
#[derive(Clone, Debug)]
pub(super) enum RunAs {
    /// As this process: it is not root.
    Same,
    /// As this process outside, as somebody else inside a user namespace.
    Namespace,
    /// As another user, who must own the data.
    Other { uid: Uid, gid: Gid },
}

impl RunAs {
    /// Decides by trying: whether namespaces work depends on kernel, limits and container.
    pub(super) fn choose() -> Result<Self, PostgresError> {
        if !Uid::effective().is_root() {
            return Ok(Self::Same);
        }
        let mut probe = Command::new("true");
        probe
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self::Namespace.apply(&mut probe);
        let namespaces = match probe.status() {
            Ok(_) => return Ok(Self::Namespace),
            Err(error) => error,
        };
        let other = ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten());
        match other {
            Some(user) => Ok(Self::Other {
                uid: user.uid,
                gid: user.gid,
            }),
            None => Err(PostgresError::NobodyToRunAs { namespaces }),
        }
    }

    /// Makes `command` run so, and end when the calling THREAD ends: call from the main thread. It gets what the user
    /// gave: the app's secrets in `.env`, and a `TZ` or `LD_PRELOAD` for the app, are nothing to the server.
    pub(super) fn apply(&self, command: &mut Command) {
        let given = environment::for_children().map(|(name, value)| (name, value));
        command.env_clear().envs(given);
        let namespace = matches!(self, Self::Namespace);
        if let Self::Other { uid, gid } = self {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
        // A group of its own: Ctrl-C in the terminal must reach us first, while requests still need the database.
        command.process_group(0);
        let parent = nix::unistd::getpid();
        let child = move || {
            if namespace {
                enter_namespace()?;
            }
            // After every change of identity, which would clear it. The first check makes up for a parent that died
            // between fork and here.
            prctl::set_pdeathsig(Signal::SIGINT)?;
            if getppid() != parent {
                return Err(io::Error::from(nix::errno::Errno::ESRCH));
            }
            Ok(())
        };
        // SAFETY: runs in the child between fork and exec, where other threads of the parent are gone and any lock
        // may be held for ever. `child` makes plain system calls on constants and values copied into it: it takes no
        // lock and allocates nothing.
        unsafe { command.pre_exec(child) };
    }
}

/// Inside, this process is uid 65534; outside it stays what it was, so it owns its files on both sides.
fn enter_namespace() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER)?;
    // The kernel wants setgroups denied before an unprivileged process may map its group.
    for (file, content) in [
        (c"/proc/self/setgroups", "deny"),
        (c"/proc/self/uid_map", "65534 0 1"),
        (c"/proc/self/gid_map", "65534 0 1"),
    ] {
        let file = open(file, OFlag::O_WRONLY, Mode::empty())?;
        write(&file, content.as_bytes())?;
    }
    Ok(())
}

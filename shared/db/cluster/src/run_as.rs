//! The user that the server runs as, and its end together with this process.
//!
//! PostgreSQL refuses to run as root. If the host runs as root, the server gets a user namespace in which it has
//! another uid, while its files still belong to root. Where the system forbids namespaces, it runs as the user
//! `postgres` or `nobody`, who then owns the files. Any other user runs it as themselves.

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

use crate::{
    PostgresError,
    place::{Environment, Life, Place},
};

/// The user that PostgreSQL's programs run as.
#[derive(Clone, Debug)]
pub(super) enum RunAs {
    /// The user of this process, which is not root.
    Same,
    /// Root, but with another uid inside a user namespace.
    Namespace,
    /// Another user, who must own the data.
    Other { uid: Uid, gid: Gid },
}

impl RunAs {
    /// Tries namespaces out, since whether they work depends on kernel, limits and container.
    pub(super) fn choose(place: &Place) -> Result<Self, PostgresError> {
        if !Uid::effective().is_root() {
            return Ok(Self::Same);
        }
        let mut probe = Command::new("true");
        probe
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self::Namespace.apply(&mut probe, &place.environment, Life::OfTheThread);
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

    /// Makes `command` run as this user, with this environment alone. [`Life::OfTheThread`]: it ends when the calling
    /// THREAD ends, so call it on the main thread.
    pub(super) fn apply(&self, command: &mut Command, environment: &Environment, life: Life) {
        let environment = environment.iter().map(|(name, value)| (name, value));
        command.env_clear().envs(environment);
        let ends_with_thread = life == Life::OfTheThread;
        let namespace = matches!(self, Self::Namespace);
        if let Self::Other { uid, gid } = self {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
        // Its own process group: Ctrl-C in the terminal must not stop the server while requests still need it.
        command.process_group(0);
        let parent = nix::unistd::getpid();
        let child = move || {
            if namespace {
                enter_namespace()?;
            }
            if !ends_with_thread {
                return Ok(());
            }
            // Set it last, since a change of uid clears it. The check afterwards covers a parent that died between fork
            // and here.
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

/// Enters a namespace in which this process has uid 65534. Outside its uid is unchanged, so it still owns its files.
fn enter_namespace() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER)?;
    // The kernel requires setgroups to be denied before an unprivileged process maps its group.
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

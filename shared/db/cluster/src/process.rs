//! The process of a server: whether it runs, and who may stop it.

use std::{
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::{
    PostgresError,
    pidfile::PidFile,
    place::Life,
    wait::{POLL, poll},
};

/// An ordinary start takes 40 ms, but recovery after a crash may take minutes.
pub(super) const READY_LIMIT: Duration = Duration::from_mins(30);

/// A server that does not stop meanwhile is stuck.
pub(super) const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A server that already runs on our data: our own, from before a restart, or an orphan of a host that was killed.
///
/// An orphan is stopped, unless it has a life of its own. It is not adopted, because it has already received its death signal and is about to end.
pub(super) async fn left_running(
    data: &Path,
    life: Life,
    on_wait: &mut dyn FnMut(String),
) -> Result<Option<Pid>, PostgresError> {
    let Some(file) = PidFile::read(data).filter(|file| file.is_alive() && file.serves(data)) else {
        return Ok(None);
    };
    let pid = Pid::from_raw(file.pid);
    if file.is_our_child() {
        return Ok(Some(pid));
    }
    if life == Life::OfItsOwn {
        let describe = || format!("PostgreSQL (PID {pid}) is starting");
        let ready = poll(READY_LIMIT, on_wait, describe, || {
            let is_ready = PidFile::read(data).is_some_and(|file| file.status == "ready");
            is_ready
                .then_some(true)
                .or_else(|| has_exited(pid).then_some(false))
        });
        return Ok(ready.await.unwrap_or(false).then_some(pid));
    }
    if kill(pid, Signal::SIGINT).is_ok() {
        let describe = || format!("a PostgreSQL of an earlier run (PID {pid}) is ending");
        let ended = poll(STOP_LIMIT, on_wait, describe, || {
            has_exited(pid).then_some(())
        });
        ended.await.ok_or(PostgresError::Orphan { pid: file.pid })?;
    }
    Ok(None)
}

pub(super) fn is_alive(pid: Pid) -> bool {
    matches!(
        waitpid(pid, Some(WaitPidFlag::WNOHANG)),
        Ok(WaitStatus::StillAlive)
    )
}

/// Whether the process has exited. Reaps it if it is a child of this process.
fn has_exited(pid: Pid) -> bool {
    match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::StillAlive) => false,
        Ok(_) => true,
        // Not our child: another process reaps it.
        Err(_) => {
            let file = PidFile {
                pid: pid.as_raw(),
                status: String::new(),
            };
            !file.is_alive()
        }
    }
}

pub(super) fn wait_for_exit(pid: Pid, limit: Duration) -> bool {
    let since = Instant::now();
    while since.elapsed() < limit {
        if has_exited(pid) {
            return true;
        }
        sleep(POLL);
    }
    false
}

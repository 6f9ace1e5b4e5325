//! The cluster's life: initialise once, start, know when it is ready, stop.
//!
//! `postgres` is started directly and its PID file polled, which takes 40 ms where `pg_ctl -w` takes 120.

use std::{
    fs::{self, OpenOptions},
    io,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use shared::db::DatabaseUrl;

use super::{
    Binaries, PostgresError,
    identity::Identity,
    pidfile::PidFile,
    places::{PORT, Places, USER},
};

/// Crash recovery after a hard stop of the machine may take a while; an ordinary start takes 40 ms.
const READY_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(1);

/// A running server. Stopped when dropped.
pub(crate) struct Cluster {
    /// Empty once it has ended, or is no longer ours to stop.
    pid: Option<Pid>,
    places: Places,
    binaries: Binaries,
    identity: Identity,
    max_connections: Option<u16>,
}

impl Cluster {
    /// Starts the cluster of the project at `root`, or takes back the one this process started before a restart.
    ///
    /// Blocks for about 40 ms, the first time for half a second. From the main thread: see [`Identity::apply`].
    pub(crate) fn start(root: &Path, max_connections: Option<u16>) -> Result<Self, PostgresError> {
        let identity = Identity::choose()?;
        let places = Places::of(root, &identity)?;
        let made_by = fs::read_to_string(places.data.join("PG_VERSION"))
            .ok()
            .map(|version| version.trim().to_owned());
        let binaries = Binaries::find(made_by.as_deref()).map_err(|error| match error {
            PostgresError::OtherVersion { made_by, found, .. } => PostgresError::OtherVersion {
                data: places.data.clone(),
                made_by,
                found,
            },
            other => other,
        })?;
        if made_by.is_none() {
            initialise(&binaries, &identity, &places.data)?;
        }
        let pid = match left_running(&places.data)? {
            Some(pid) => pid,
            None => spawn(&binaries, &identity, &places, max_connections)?,
        };
        Ok(Self {
            pid: Some(pid),
            places,
            binaries,
            identity,
            max_connections,
        })
    }

    pub(crate) fn url(&self) -> DatabaseUrl {
        self.url_for(USER)
    }

    pub(crate) fn url_for(&self, role: &str) -> DatabaseUrl {
        self.places.url(role)
    }

    /// "15.18".
    pub(crate) fn version(&self) -> &str {
        &self.binaries.version
    }

    /// Starts it again if it has ended by itself. `true`: it had, and it runs. From the main thread, as `start`.
    pub(crate) fn revive(&mut self) -> Result<bool, PostgresError> {
        let alive = |pid| {
            matches!(
                waitpid(pid, Some(WaitPidFlag::WNOHANG)),
                Ok(WaitStatus::StillAlive)
            )
        };
        if self.pid.is_some_and(alive) {
            return Ok(false);
        }
        self.pid = None;
        self.pid = Some(spawn(
            &self.binaries,
            &self.identity,
            &self.places,
            self.max_connections,
        )?);
        Ok(true)
    }

    /// Lets it run on: the next image of this process takes it back.
    pub(crate) fn keep_running(mut self) {
        self.pid = None;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            stop(pid);
        }
    }
}

/// Fast first: sessions are cut and everything is written. What is stuck gets less and less choice.
fn stop(pid: Pid) {
    for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGKILL] {
        if kill(pid, signal) == Err(Errno::ESRCH) || wait_for_end(pid, STOP_LIMIT) {
            return;
        }
    }
    tracing::error!("PostgreSQL (pid {pid}) does not stop");
}

/// initdb, into another folder first: one that was interrupted must not look like a cluster.
fn initialise(binaries: &Binaries, identity: &Identity, data: &Path) -> Result<(), PostgresError> {
    let unfinished = data.with_extension("unfinished");
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(PostgresError::file(&unfinished)(error));
        }
        _ => {}
    }
    let mut initdb = Command::new(binaries.program("initdb"));
    initdb
        .arg("-D")
        .arg(&unfinished)
        // Trust: only who can reach the 0700 folder of the socket can connect at all.
        .args([
            "-U",
            USER,
            "-A",
            "trust",
            "--no-sync",
            "--no-instructions",
            "--encoding=UTF8",
            "--locale=C",
        ])
        .current_dir("/")
        .stdin(Stdio::null());
    identity.apply(&mut initdb);
    let output = initdb.output().map_err(|source| PostgresError::Run {
        program: "initdb".into(),
        source,
    })?;
    if !output.status.success() {
        return Err(PostgresError::Initdb {
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    fs::rename(&unfinished, data).map_err(PostgresError::file(data))
}

/// A server on our data from before: ours across a restart, or an orphan of a host that was killed.
///
/// An orphan is told to end and waited for: it has been already, by its death signal, and adopting a server that is
/// about to go would only move the surprise.
fn left_running(data: &Path) -> Result<Option<Pid>, PostgresError> {
    let Some(file) = PidFile::read(data).filter(|file| file.is_alive() && file.serves(data)) else {
        return Ok(None);
    };
    let pid = Pid::from_raw(file.pid);
    if file.is_our_child() {
        return Ok(Some(pid));
    }
    if kill(pid, Signal::SIGINT).is_ok() && !wait_for_end(pid, STOP_LIMIT) {
        return Err(PostgresError::Orphan { pid: file.pid });
    }
    Ok(None)
}

fn spawn(
    binaries: &Binaries,
    identity: &Identity,
    places: &Places,
    max_connections: Option<u16>,
) -> Result<Pid, PostgresError> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&places.log)
        .map_err(PostgresError::file(&places.log))?;
    let errors = log.try_clone().map_err(PostgresError::file(&places.log))?;
    let mut postgres = Command::new(binaries.program("postgres"));
    postgres
        .arg("-D")
        .arg(&places.data)
        .arg("-k")
        .arg(&places.socket)
        .args(["-p", &PORT.to_string(), "-c", "listen_addresses="])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors);
    if let Some(limit) = max_connections {
        postgres.arg("-c").arg(format!("max_connections={limit}"));
    }
    identity.apply(&mut postgres);
    let mut child = postgres.spawn().map_err(|source| PostgresError::Run {
        program: "postgres".into(),
        source,
    })?;
    let pid = Pid::from_raw(child.id().cast_signed());

    let since = Instant::now();
    loop {
        match PidFile::read(&places.data) {
            Some(file) if file.pid == pid.as_raw() && file.status == "ready" => return Ok(pid),
            _ => {}
        }
        if let Ok(Some(_)) = child.try_wait() {
            return Err(PostgresError::EndedEarly {
                log: places.log.clone(),
                tail: tail(&places.log),
            });
        }
        if since.elapsed() > READY_LIMIT {
            stop(pid);
            return Err(PostgresError::NotReady {
                seconds: READY_LIMIT.as_secs(),
                log: places.log.clone(),
            });
        }
        sleep(POLL);
    }
}

/// Waits until the process is gone: reaped, if it is ours to reap.
fn wait_for_end(pid: Pid, limit: Duration) -> bool {
    let since = Instant::now();
    while since.elapsed() < limit {
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => {}
            Ok(_) => return true,
            // Not our child: somebody else reaps it.
            Err(_)
                if !(PidFile {
                    pid: pid.as_raw(),
                    status: String::new(),
                })
                .is_alive() =>
            {
                return true;
            }
            Err(_) => {}
        }
        sleep(POLL);
    }
    false
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

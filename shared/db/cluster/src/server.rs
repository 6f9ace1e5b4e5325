//! The life of the cluster: initialize once, start, wait until it is ready, stop.
//!
//! `postgres` is started directly and its PID file polled, which takes 40 ms where `pg_ctl -w` takes 120. Starting is
//! async: a start that is dropped half-way leaves no process and no half-made cluster. Stopping blocks, since it is the
//! last thing the process does.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use shared_db::DatabaseUrl;

use crate::{
    Binaries, PostgresError,
    initdb::initialize,
    log::{open_log, progress, tail},
    paths::{PORT, Paths, USER},
    pidfile::PidFile,
    place::Place,
    process::{READY_LIMIT, STOP_LIMIT, is_alive, left_running, wait_for_exit},
    run_as::RunAs,
    wait::poll,
};

/// A server that is not ready yet has nothing to write: it recovers at its next start.
const QUIT_LIMIT: Duration = Duration::from_secs(1);

/// A private server. Stopped when dropped.
pub struct Cluster {
    /// `None` before the start, after the end, and when this process must not stop it.
    pid: Option<Pid>,
    /// Whether it accepts connections.
    ready: bool,
    paths: Paths,
    binaries: Binaries,
    run_as: RunAs,
    place: Place,
}

impl Cluster {
    /// The cluster at this place, not yet started.
    ///
    /// # Errors
    /// Those whose cause only the user can fix.
    pub fn of(place: Place) -> Result<Self, PostgresError> {
        let run_as = RunAs::choose(&place)?;
        let paths = Paths::of(&place, &run_as)?;
        let made_by = fs::read_to_string(paths.data.join("PG_VERSION"))
            .ok()
            .map(|version| version.trim().to_owned());
        let binaries = Binaries::find(made_by.as_deref()).map_err(|error| match error {
            PostgresError::OtherVersion { made_by, found, .. } => PostgresError::OtherVersion {
                data: paths.data.clone(),
                made_by,
                found,
            },
            other => other,
        })?;
        Ok(Self {
            pid: None,
            ready: false,
            paths,
            binaries,
            run_as,
            place,
        })
    }

    /// Starts it, or takes back the one that this process started before a restart. A start that takes long says what
    /// it waits for. Awaited on the main thread, never spawned, since the server may end with its thread.
    ///
    /// # Errors
    /// The server could not be made or started; the error says why, with the end of its log. Dropping the future
    /// half-way leaves a server that ends with `self`.
    pub async fn start(&mut self, on_wait: &mut dyn FnMut(String)) -> Result<(), PostgresError> {
        if self.has_lost_data() {
            initialize(
                &self.binaries,
                (&self.place, &self.run_as, &self.paths),
                on_wait,
            )
            .await?;
        }
        match left_running(&self.paths.data, self.place.life, on_wait).await? {
            Some(pid) => (self.pid, self.ready) = (Some(pid), true),
            None => self.spawn(on_wait).await?,
        }
        Ok(())
    }

    /// The socket at which the server answers while it runs.
    #[must_use]
    pub fn socket_file(&self) -> PathBuf {
        self.paths.socket.join(format!(".s.PGSQL.{PORT}"))
    }

    /// The file in which the server keeps its PID while it runs.
    #[must_use]
    pub fn pid_file(&self) -> PathBuf {
        self.paths.data.join("postmaster.pid")
    }

    /// Where the superuser of the cluster at this place connects, whether it runs or not.
    ///
    /// # Errors
    /// Its folders cannot be made.
    pub fn url_at(place: &Place) -> Result<DatabaseUrl, PostgresError> {
        Ok(Paths::of(place, &RunAs::choose(place)?)?.url(USER))
    }

    /// Where its superuser connects.
    pub fn url(&self) -> DatabaseUrl {
        self.url_for(USER)
    }

    pub fn url_for(&self, role: &str) -> DatabaseUrl {
        self.paths.url(role)
    }

    /// The same as text, for other drivers.
    pub fn url_text(&self, role: &str) -> String {
        self.paths.url_text(role)
    }

    /// Of PostgreSQL 15.18: 15.
    #[must_use]
    pub fn major(&self) -> u32 {
        self.binaries.major.parse().unwrap_or_default()
    }

    /// "15.18".
    pub fn version(&self) -> &str {
        &self.binaries.version
    }

    /// Whether it has ended by itself and has not been started again.
    pub fn has_ended(&self) -> bool {
        !self.pid.is_some_and(is_alive)
    }

    /// Whether its data has been deleted or not been created yet.
    pub fn has_lost_data(&self) -> bool {
        !self.paths.data.join("PG_VERSION").exists()
    }

    /// Starts it again after it has ended by itself, or creates it again, empty, after its data has been deleted. Await
    /// it on the main thread, like [`start`](Self::start).
    pub async fn revive(&mut self, on_wait: &mut dyn FnMut(String)) -> Result<(), PostgresError> {
        self.ready = false;
        if self.has_ended() {
            self.pid = None;
        }
        if self.has_lost_data() {
            self.stop(); // the old server has no data left to write
            self.paths.make(&self.run_as)?;
            initialize(
                &self.binaries,
                (&self.place, &self.run_as, &self.paths),
                on_wait,
            )
            .await?;
        }
        self.spawn(on_wait).await
    }

    /// Leaves it running: for the next image of this process, or because it has a life of its own.
    pub fn keep_running(mut self) {
        self.pid = None;
    }

    async fn spawn(&mut self, on_wait: &mut dyn FnMut(String)) -> Result<(), PostgresError> {
        let from = fs::metadata(&self.paths.log).map_or(0, |log| log.len());
        let mut child = self.launch()?;
        let pid = Pid::from_raw(child.id().cast_signed());
        self.pid = Some(pid);
        let Paths { data, log, .. } = &self.paths;
        let describe = || progress(log, from);
        let ready = poll(READY_LIMIT, on_wait, describe, || {
            match PidFile::read(data) {
                Some(file) if file.pid == pid.as_raw() && file.status == "ready" => {
                    return Some(true);
                }
                _ => {}
            }
            matches!(child.try_wait(), Ok(Some(_))).then_some(false)
        });
        match ready.await {
            Some(true) => {
                self.ready = true;
                Ok(())
            }
            Some(false) => {
                self.pid = None;
                Err(PostgresError::EndedEarly {
                    log: log.clone(),
                    tail: tail(log),
                })
            }
            None => {
                let log = log.clone();
                self.stop();
                Err(PostgresError::NotReady {
                    seconds: READY_LIMIT.as_secs(),
                    log,
                })
            }
        }
    }

    fn launch(&self) -> Result<Child, PostgresError> {
        let Paths { data, socket, log } = &self.paths;
        let (out, errors) = open_log(log)?;
        let mut postgres = Command::new(self.binaries.program("postgres"));
        postgres
            .arg("-D")
            .arg(data)
            .arg("-k")
            .arg(socket)
            .args(["-p", &PORT.to_string(), "-c", "listen_addresses="])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors);
        for (name, value) in &self.place.settings {
            postgres.arg("-c").arg(format!("{name}={value}"));
        }
        let place = &self.place;
        self.run_as
            .apply(&mut postgres, &place.environment, place.life);
        postgres.spawn().map_err(|source| PostgresError::Run {
            program: "postgres".into(),
            source,
        })
    }

    /// Stops it: first a fast shutdown, which ends sessions and writes everything; then, if it is stuck, harder
    /// signals.
    fn stop(&mut self) {
        let Some(pid) = self.pid.take() else { return };
        let steps: &[_] = if self.ready {
            &[
                (Signal::SIGINT, STOP_LIMIT),
                (Signal::SIGQUIT, STOP_LIMIT),
                (Signal::SIGKILL, STOP_LIMIT),
            ]
        } else {
            // During recovery it ignores SIGINT.
            &[(Signal::SIGQUIT, QUIT_LIMIT), (Signal::SIGKILL, STOP_LIMIT)]
        };
        for (signal, limit) in steps {
            if kill(pid, *signal) == Err(Errno::ESRCH) || wait_for_exit(pid, *limit) {
                return;
            }
        }
        tracing::error!("PostgreSQL (pid {pid}) does not stop");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

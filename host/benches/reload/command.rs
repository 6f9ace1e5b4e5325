//! Commands as a user runs them: a clean environment, cargo to its end, a server until it is stopped.
//!
//! Owns what is started: a cargo that is no longer waited for is ended with its compilers, a server with its
//! connections. Both by PID, so also when a measurement fails or is interrupted.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use shared::BoxError;

/// For the first build of everything on a busy machine.
const BUILD_LIMIT: Duration = Duration::from_secs(900);

/// For a server to finish what is under way; the host's own limit is ten seconds.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// `program` in `folder`, without what `cargo bench` has put into our environment, and without settings.
pub(crate) fn clean(program: impl AsRef<OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        let Some(key) = name.to_str() else { continue };
        let person_s = matches!(key, "CARGO_HOME" | "CARGO_NET_OFFLINE");
        let cargo_s = key.starts_with("CARGO") && !person_s;
        let settings = ["DATABASE_", "PG", "RUST_LOG", "HOST_"]
            .iter()
            .any(|prefix| key.starts_with(prefix));
        let other = ["LD_LIBRARY_PATH", "OUT_DIR", "PORT", "HOST", "APP_ENV"].contains(&key);
        if cargo_s || settings || other {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs `cargo` with `arguments`, given as a user types them, and returns how long it took.
pub(crate) async fn cargo(folder: &Path, arguments: &str) -> Result<Duration, BoxError> {
    let mut command = tokio::process::Command::from(clean("cargo", folder));
    command
        .args(arguments.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let since = Instant::now();
    let child = command.spawn()?;
    let group = Group(child.id().map(|id| Pid::from_raw(id.cast_signed())));
    let output = tokio::time::timeout(BUILD_LIMIT, child.wait_with_output())
        .await
        .map_err(|_| format!("waited {} s for cargo {arguments}", BUILD_LIMIT.as_secs()))??;
    let took = since.elapsed();
    group.ended();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo {arguments} in {}:\n{said}", folder.display()).into());
    }
    Ok(took)
}

/// Cargo and its compilers, ended when dropped before their time.
struct Group(Option<Pid>);

impl Group {
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Gone already, if it failed by itself; tokio reaps it.
        self.0.map(|id| killpg(id, Signal::SIGKILL));
    }
}

/// A server that was started here. Stopped when dropped.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// What it says on stderr goes to `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> io::Result<Self> {
        let child = command.stderr(fs::File::create(log)?).spawn()?;
        let log = log.to_owned();
        Ok(Self { child, log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// An error with its last words, if it has ended by itself.
    pub(crate) fn still_runs(&mut self) -> Result<(), BoxError> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let said = fs::read_to_string(&self.log).unwrap_or_default();
                Err(format!("a server ended with {status}:\n{said}").into())
            }
        }
    }

    /// SIGTERM, and SIGKILL for one that does not care.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        let since = Instant::now();
        // Its PID is its own for as long as it has not been waited for.
        if self.child.try_wait()?.is_none() {
            kill(pid, Signal::SIGTERM)?;
        }
        while self.child.try_wait()?.is_none() {
            if since.elapsed() > STOP_LIMIT {
                self.child.kill()?;
                self.child.wait()?;
                break;
            }
            sleep(Duration::from_micros(200));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("cannot stop process {}: {error}", self.child.id());
        }
    }
}

/// A port that is free now: a server that is restarted keeps its own.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

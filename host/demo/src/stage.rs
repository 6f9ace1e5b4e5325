//! Plays an act: runs a host in the act's mode, saves and requests again and again, and takes a sample after each.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{
    BoxError,
    act::{Act, Sample},
};

/// The workspace and settings for all acts.
pub(crate) struct Stage {
    pub(crate) root: PathBuf,
    pub(crate) reloads: u32,
    pub(crate) max_connections: u16,
}

/// The file that is saved: it holds the two ways to own a pool.
const SAVED: &str = "app_lib/src/db.rs";

/// Long enough for a build on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// How long PostgreSQL may take to notice that a connection has been closed.
const SETTLE: Duration = Duration::from_secs(5);

impl Stage {
    /// Plays one act, and calls `each` with every sample.
    pub(crate) fn play(&self, act: &Act, each: impl Fn(&Sample)) -> Result<Vec<Sample>, BoxError> {
        let file = self.root.join(SAVED);
        let source = fs::read_to_string(&file)?;
        let host = Host::start(self, act)?;
        let (mut samples, mut seen) = (Vec::new(), BTreeSet::new());
        for reload in 0..=self.reloads {
            if reload > 0 {
                // A value and not a comment: the library must come out different.
                fs::write(
                    &file,
                    format!(
                        "{source}\n/// Written by the demo.\n#[used]\nstatic SAVE: u32 = {reload};\n"
                    ),
                )?;
            }
            let generation = u64::from(reload) + 1;
            host.until(&format!("generation {generation}"), LIMIT, |status| {
                status["generation"] == generation && status["phase"] == "active"
            })?;
            let http_status = host.request()?;
            let sample = host.sample(act, reload, http_status, &mut seen)?;
            each(&sample);
            let refused = sample.sqlstate.is_some();
            samples.push(sample);
            if refused {
                break;
            }
        }
        host.stop()?;
        fs::write(&file, source)?;
        Ok(samples)
    }
}

/// `host dev` in the copy, in the act's mode. Stopped when dropped.
struct Host {
    child: Child,
    address: String,
}

impl Host {
    fn start(stage: &Stage, act: &Act) -> Result<Self, BoxError> {
        let announced = stage.root.join(".dev/host.json");
        // Left by the previous act, if there was one.
        drop(fs::remove_file(&announced));
        let log = fs::File::create(stage.root.join("host.log"))?;
        let mut command = Command::new(stage.root.join("target/hot/host"));
        // Its own database, whatever the user has set.
        command.env_remove("DATABASE_URL").current_dir(&stage.root);
        command.args([
            "dev",
            "--port",
            "0",
            "--pool",
            act.pool,
            "--isolation",
            act.isolation,
        ]);
        command.args(["--max-connections", &stage.max_connections.to_string()]);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut host = Self {
            child: command.spawn()?,
            address: String::new(),
        };
        let since = Instant::now();
        while host.address.is_empty() {
            if let Some(status) = host.child.try_wait()? {
                return Err(format!(
                    "the host ended with {status}:\n{}",
                    read(&stage.root.join("host.log"))
                )
                .into());
            }
            if since.elapsed() > LIMIT {
                return Err(format!("the host does not listen after {} s", LIMIT.as_secs()).into());
            }
            let running: Value = fs::read(&announced)
                .ok()
                .and_then(|json| serde_json::from_slice(&json).ok())
                .unwrap_or_default();
            host.address = running["address"].as_str().unwrap_or_default().to_owned();
            sleep(Duration::from_millis(5));
        }
        Ok(host)
    }

    fn status(&self) -> Result<Value, BoxError> {
        let url = format!("http://{}/__dev/status.json", self.address);
        Ok(ureq::get(&url)
            .config()
            .timeout_global(Some(LIMIT))
            .build()
            .call()?
            .body_mut()
            .read_json()?)
    }

    /// Sends the request that follows each save.
    fn request(&self) -> Result<u16, BoxError> {
        let url = format!("http://{}/api/ping", self.address);
        let answer = ureq::get(&url)
            .config()
            .timeout_global(Some(LIMIT))
            .http_status_as_error(false)
            .build()
            .call()?;
        Ok(answer.status().as_u16())
    }

    fn until(
        &self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, BoxError> {
        let since = Instant::now();
        loop {
            let status = self.status()?;
            if wanted(&status) {
                return Ok(status);
            }
            if status["phase"] == "build_failed" || status["phase"] == "load_failed" {
                return Err(format!("the app does not build or load: {}", status["build"]).into());
            }
            if since.elapsed() > limit {
                return Err(
                    format!("waited {} s for {what}; status: {status}", limit.as_secs()).into(),
                );
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// Takes a sample once all old generations have retired and PostgreSQL has noticed the connections they closed.
    fn sample(
        &self,
        act: &Act,
        reload: u32,
        http_status: u16,
        seen: &mut BTreeSet<i64>,
    ) -> Result<Sample, BoxError> {
        let retired = |status: &Value| {
            status["generations"].as_array().is_some_and(|all| {
                all.iter()
                    .filter(|generation| generation["state"] != "retired")
                    .count()
                    == 1
            })
        };
        let mut status = self.until("the generation before to retire", LIMIT, retired)?;
        let since = Instant::now();
        while act.number != 1 && status["db"]["backends"] != 1 && since.elapsed() < SETTLE {
            sleep(Duration::from_millis(10));
            status = self.status()?;
        }
        let db = &status["db"];
        seen.extend(
            db["pids"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_i64),
        );
        let proc = read(&PathBuf::from(format!("/proc/{}/status", self.child.id())));
        let of_proc = |name: &str| {
            proc.lines()
                .find_map(|line| {
                    line.strip_prefix(name)?
                        .split_whitespace()
                        .next()?
                        .parse()
                        .ok()
                })
                .unwrap_or(0)
        };
        Ok(Sample {
            reload,
            generation: status["generation"].as_u64().unwrap_or_default(),
            backends: db["backends"]
                .as_u64()
                .ok_or("PostgreSQL did not answer the count")?,
            distinct_pids: seen.len(),
            sessions: db["sessions"].as_u64(),
            threads: of_proc("Threads:"),
            resident_kib: of_proc("VmRSS:"),
            http_status,
            sqlstate: db["refused"]["last"]["sqlstate"]
                .as_str()
                .map(str::to_owned),
            usable: db["usable"].as_u64(),
        })
    }

    fn stop(mut self) -> Result<(), BoxError> {
        kill(self.pid(), Signal::SIGINT)?;
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the host ended with {status}").into())
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Already stopped if the act succeeded. Otherwise send SIGINT, so that it stops its PostgreSQL.
        if let Ok(None) = self.child.try_wait()
            && kill(self.pid(), Signal::SIGINT).is_ok()
        {
            drop(self.child.wait());
        }
    }
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

//! Save to live: the host of this workspace, as `cargo dev` runs it, told by `--json` what it does.
//!
//! While it builds, no request is sent: that would slow the compiler that is measured. From the moment it
//! loads, the answers are looked at.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::BoxFuture};
use serde_json::Value;
use shared::BoxError;
use tokio::sync::mpsc;

use super::{HOST, Taken, Way, ms};
use crate::{
    app::{App, Edit},
    client::{Connection, until_answered},
    command::{Server, clean},
    scratch::Scratch,
};

/// For the first build of another app.
const START_LIMIT: Duration = Duration::from_secs(300);

/// For a build and what follows.
const STEP_LIMIT: Duration = Duration::from_secs(120);

/// A host and its copy of the workspace.
pub(crate) struct Host {
    pub(crate) root: PathBuf,
    database: String,
    /// Variables that it is started with.
    settings: Vec<(&'static str, &'static str)>,
    running: Option<Running>,
}

struct Running {
    server: Server,
    address: SocketAddr,
    events: mpsc::UnboundedReceiver<Value>,
    connection: Option<Connection>,
}

impl Host {
    pub(crate) fn new(scratch: &Scratch, database: &str) -> Result<Self, BoxError> {
        Ok(Self {
            root: scratch.copy("host")?,
            database: database.to_owned(),
            settings: Vec::new(),
            running: None,
        })
    }

    /// One that records nothing of what requests do.
    pub(crate) fn untraced(scratch: &Scratch, database: &str) -> Result<Self, BoxError> {
        Ok(Self {
            root: scratch.copy("untraced")?,
            database: database.to_owned(),
            settings: vec![("HOST_TRACES", "0")],
            running: None,
        })
    }

    /// Starts it again with `app`, and waits for the first answer.
    pub(crate) async fn start(&mut self, app: &App) -> Result<(), BoxError> {
        self.running = None;
        app.install(&self.root)?;
        let mut command = clean(self.root.join("target/hot/host"), &self.root);
        command
            .args(["dev", "--port", "0", "--json"])
            .env("DATABASE_URL", &self.database)
            .envs(self.settings.iter().copied())
            .stdout(Stdio::piped());
        let mut server = Server::start(command, &self.root.join("host.log"))?;
        let stdout = server.stdout().ok_or("piped above")?;
        let (sender, events) = mpsc::unbounded_channel();
        // Reads to the end, whether or not anybody listens: a full pipe would stop the host.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                drop(serde_json::from_str(&line).map(|event| sender.send(event)));
            }
        });
        let mut running = Running {
            server,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            events,
            connection: None,
        };
        let ready = running.event("ready", START_LIMIT).await?;
        let address = ready["address"].as_str().ok_or("`ready` has an address")?;
        running.address = address.parse()?;
        until_answered(running.address, &mut running.connection, app.query, "").await?;
        running.until_rustc_is_ready().await?;
        self.running = Some(running);
        Ok(())
    }

    fn running(&mut self) -> Result<&mut Running, BoxError> {
        Ok(self.running.as_mut().ok_or("the host was not started")?)
    }

    pub(crate) fn pid(&mut self) -> Result<u32, BoxError> {
        Ok(self.running()?.server.pid())
    }

    pub(crate) fn address(&mut self) -> Result<SocketAddr, BoxError> {
        Ok(self.running()?.address)
    }

    /// Saves, and returns what the host says of the reload once it is live.
    pub(crate) async fn reload(&mut self, edit: &Edit) -> Result<Value, BoxError> {
        let root = self.root.clone();
        let running = self.running()?;
        while running.events.try_recv().is_ok() {}
        edit.write(&root)?;
        running.event("live", STEP_LIMIT).await
    }

    async fn measured(&mut self, edit: &Edit) -> Result<Taken, BoxError> {
        let root = self.root.clone();
        let running = self.running()?;
        // What came before this save says nothing of it.
        while running.events.try_recv().is_ok() {}
        let since = Instant::now();
        edit.write(&root)?;
        running.event("loading", STEP_LIMIT).await?;
        let (address, connection) = (running.address, &mut running.connection);
        until_answered(address, connection, &edit.path, &edit.marker).await?;
        let total = ms(since.elapsed());
        let live = running.event("live", STEP_LIMIT).await?;
        let mut steps: Vec<_> = [
            ("detect", "detect_ms"),
            ("build", "build_ms"),
            ("load", "load_ms"),
            ("swap", "swap_ms"),
        ]
        .map(|(step, field)| (step, live[field].as_f64().unwrap_or_default()))
        .into();
        // What is left: the way back of the first answer that was the new code's.
        let told: f64 = steps.iter().map(|(_, took)| took).sum();
        steps.push(("first answer", (total - told).max(0.0)));
        let build = live["build_ms"].as_f64().unwrap_or_default();
        steps.push(("outside the compiler", total - build));
        Ok(Taken {
            total,
            steps,
            compiler: live["compiler"].as_str().map(str::to_owned),
        })
    }
}

impl Running {
    /// What it does for that while nothing is saved is no part of a save.
    async fn until_rustc_is_ready(&self) -> Result<(), BoxError> {
        let ready = async {
            let mut connection = Connection::open(self.address).await?;
            loop {
                let status = connection.get_ok("/__dev/status.json").await?;
                match serde_json::from_slice::<Value>(&status)?["replays"].as_bool() {
                    Some(true) => return Ok(()),
                    Some(false) => tokio::time::sleep(Duration::from_millis(100)).await,
                    None => return Err("`status.json` has `replays`".into()),
                }
            }
        };
        tokio::time::timeout(STEP_LIMIT, ready)
            .await
            .map_err(|_| "waited for rustc alone to be ready")?
    }

    /// Waits for an event of this name. That a build failed or was refused is an error.
    async fn event(&mut self, name: &str, limit: Duration) -> Result<Value, BoxError> {
        let wanted = async {
            loop {
                let event = self.events.recv().await?;
                match event["event"].as_str() {
                    Some(found) if found == name => return Some(Ok(event)),
                    Some("build_failed" | "refused" | "unchanged") => return Some(Err(event)),
                    _ => {}
                }
            }
        };
        match tokio::time::timeout(limit, wanted).await {
            Ok(Some(Ok(event))) => Ok(event),
            Ok(Some(Err(event))) => Err(format!("instead of `{name}` came {event:#}").into()),
            Ok(None) => {
                self.server.still_runs()?;
                Err(format!("the host says nothing more; `{name}` was to come").into())
            }
            Err(_) => Err(format!("waited {} s for `{name}`", limit.as_secs()).into()),
        }
    }
}

impl Way for Host {
    fn name(&self) -> &'static str {
        HOST
    }

    fn install<'a>(&'a mut self, app: &'a App) -> BoxFuture<'a, Result<(), BoxError>> {
        self.start(app).boxed()
    }

    fn save<'a>(&'a mut self, edit: &'a Edit) -> BoxFuture<'a, Result<Option<Taken>, BoxError>> {
        async { self.measured(edit).await.map(Some) }.boxed()
    }
}

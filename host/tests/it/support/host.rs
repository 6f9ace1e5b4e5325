//! A running `host dev`, and what it says of itself.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::{Checkout, Lab};

/// Against hanging only: far beyond what a slow and busy machine takes to build the host from nothing.
const LIMIT: Duration = Duration::from_secs(600);

/// `status.json`.
pub(crate) struct Status(pub(crate) Value);

impl Status {
    pub(crate) fn generation(&self) -> u64 {
        self.0["generation"].as_u64().unwrap()
    }

    pub(crate) fn phase(&self) -> &str {
        self.0["phase"].as_str().unwrap()
    }

    /// A number by its path: `/db/backends`. Absent and null are -1.
    pub(crate) fn number(&self, path: &str) -> i64 {
        self.0.pointer(path).and_then(Value::as_i64).unwrap_or(-1)
    }

    /// Stage and leases of one generation.
    pub(crate) fn of_generation(&self, id: u64) -> Option<(&str, u64)> {
        let found = self.0["generations"]
            .as_array()
            .unwrap()
            .iter()
            .find(|generation| generation["id"] == id)?;
        Some((
            found["state"].as_str().unwrap(),
            found["in_flight"].as_u64().unwrap(),
        ))
    }

    pub(crate) fn is_retired(&self, id: u64) -> bool {
        matches!(self.of_generation(id), Some(("retired", _)))
    }
}

/// A host that runs rustc without cargo compiles the app once more while nothing is saved. Only tests in which that
/// matters pay for it.
pub(crate) const REPLAYS: (&str, &str) = ("HOST_REPLAY", "on");

pub(crate) struct Host {
    pub(crate) checkout: Checkout,
    pub(crate) client: reqwest::Client,
    pub(crate) base: String,
    process: Child,
}

impl Host {
    /// Starts the host of a fresh checkout and waits for its first generation.
    pub(crate) async fn start() -> Self {
        Self::start_in(Checkout::new(), &[]).await
    }

    /// With a lab, see [`Checkout::add_lab`].
    pub(crate) async fn with_lab(routes: &str) -> Self {
        let checkout = Checkout::new();
        checkout.add_lab(routes);
        Self::start_in(checkout, &[]).await
    }

    /// With a lab that is compiled already.
    pub(crate) async fn with_built_lab(lab: Lab) -> Self {
        let checkout = Checkout::new();
        checkout.add_built_lab(lab);
        Self::start_in(checkout, &[]).await
    }

    pub(crate) async fn start_in(checkout: Checkout, environment: &[(&str, &str)]) -> Self {
        let host = Self::spawn_in(checkout, environment).await;
        host.until("the first generation", |status| status.phase() == "active")
            .await;
        host
    }

    /// Starts the host by `command`, which ends up as the host, and waits for its first generation.
    pub(crate) async fn start_by(checkout: Checkout, mut command: Command) -> Self {
        let log = File::create(checkout.path("host.log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let host = Self::spawn(checkout, command).await;
        host.until("the first generation", |status| status.phase() == "active")
            .await;
        host
    }

    /// Starts the host and waits only until it listens.
    pub(crate) async fn spawn_in(checkout: Checkout, environment: &[(&str, &str)]) -> Self {
        let log = File::options()
            .create(true)
            .append(true)
            .open(checkout.path("host.log"))
            .unwrap();
        let mut command = checkout.host();
        command
            .args(["dev", "--port", "0"])
            .env("HOST_REPLAY", "off")
            .envs(environment.iter().copied());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Self::spawn(checkout, command).await
    }

    /// Starts the host by `command`, which says where its output goes, and waits until it listens.
    pub(crate) async fn spawn(checkout: Checkout, mut command: Command) -> Self {
        if !command
            .get_envs()
            .any(|(name, value)| name == "DATABASE_URL" && value.is_some())
        {
            checkout.lend_cluster();
        }
        let announced = checkout.path(".dev/host.json");
        // What a host before has left there is not this one's.
        drop(fs::remove_file(&announced));
        let process = command.spawn().unwrap();
        let mut host = Self {
            checkout,
            client: client(),
            base: String::new(),
            process,
        };
        let process = &mut host.process;
        host.base = eventually("the host to listen", async || {
            if let Some(status) = process.try_wait().unwrap() {
                panic!("the host has ended: {status}");
            }
            let running: Value = serde_json::from_slice(&fs::read(&announced).ok()?).ok()?;
            Some(format!("http://{}", running["address"].as_str()?))
        })
        .await;
        host
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        self.get(path).await.text().await.unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        self.get(path).await.json().await.unwrap()
    }

    pub(crate) async fn status(&self) -> Status {
        Status(self.json("/__dev/status.json").await)
    }

    /// The backend that answers the app.
    pub(crate) async fn backend(&self) -> i64 {
        self.json("/api/ping").await["backend_pid"]
            .as_i64()
            .unwrap()
    }

    /// Waits for a state.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        eventually(what, async || {
            let answer = self
                .client
                .get(self.url("/__dev/status.json"))
                .send()
                .await
                .ok()?;
            let status = Status(answer.json().await.ok()?);
            wanted(&status).then_some(status)
        })
        .await
    }

    pub(crate) async fn until_generation(&self, id: u64) -> Status {
        self.until(&format!("generation {id}"), |status| {
            status.generation() >= id && status.phase() == "active"
        })
        .await
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.id().cast_signed()
    }

    /// Everything it has printed.
    pub(crate) fn log(&self) -> String {
        // It may be in the middle of a character.
        String::from_utf8_lossy(&fs::read(self.checkout.path("host.log")).unwrap()).into_owned()
    }

    /// PID of its PostgreSQL.
    pub(crate) fn postmaster(&self) -> i32 {
        let file =
            fs::read_to_string(self.checkout.path(".dev/postgres/data/postmaster.pid")).unwrap();
        file.lines().next().unwrap().parse().unwrap()
    }

    /// A connection beside the host's, with another name.
    pub(crate) async fn observe(&self) -> tokio_postgres::Client {
        self.observe_from("postgres").await
    }

    /// The same in another database of its server.
    pub(crate) async fn observe_from(&self, database: &str) -> tokio_postgres::Client {
        let mut config = tokio_postgres::Config::new();
        config
            .host_path(self.checkout.path(".dev/postgres/socket"))
            .user("postgres")
            .dbname(database)
            .application_name("observer");
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Waits for the end of the process.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let process = &mut self.process;
        eventually("the host to end", async || process.try_wait().unwrap()).await
    }

    /// Ctrl-C, and the exit status it ends with; the checkout is handed back.
    pub(crate) async fn stop(mut self) -> (ExitStatus, Checkout) {
        self.signal(Signal::SIGINT);
        let status = self.ended().await;
        (
            status,
            std::mem::replace(&mut self.checkout, Checkout::nowhere()),
        )
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.checkout.is_nowhere() {
            // The end of it, so that the panic's own message is still in sight; all of it is in the checkout.
            let log = self.log();
            let end = log.lines().count().saturating_sub(40);
            let end: Vec<&str> = log.lines().skip(end).collect();
            eprintln!("--- the end of host.log\n{}\n---", end.join("\n"));
        }
        if self.process.try_wait().unwrap().is_none() {
            self.signal(Signal::SIGINT);
            let status = self.process.wait().unwrap();
            let fine = status.success() || std::thread::panicking();
            assert!(
                fine,
                "the host ends with 0 on Ctrl-C, not {status} (signal {:?})",
                status.signal()
            );
        }
    }
}

/// Asks again until there is an answer. The pause leaves the processor to what is waited for: in this profile an
/// answer costs both sides milliseconds.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(
            since.elapsed() < LIMIT,
            "waited {} s for {what}",
            LIMIT.as_secs()
        );
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// A client that opens a connection for each request: none of them may be refused.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .pool_max_idle_per_host(0)
        .timeout(LIMIT)
        .build()
        .unwrap()
}

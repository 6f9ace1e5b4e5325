//! `GET /__dev/status.json`: everything that terminal and dashboard show, for programs.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Instant};

use axum::{Json, Router, extract::State, routing::get};
use serde::Serialize;
use shared::{PoolOwner, db::DbStatus, env::ShownSetting, keep::KeptValue};

use super::{
    journal::{Journal, Latency, PastReload},
    pages::Editor,
};
use crate::{
    config::Isolation,
    database::{Backend, CENSUS, ClientStatus, Endpoint, Handle, Refusals, SchemaState},
    events::{Build, LastReload, Phase, Reloads, Report, Testing},
    generation::Snapshot,
    health::Health,
    logs,
    server::{Requests, ServedRequest, Unreloadable, UnreloadablePages},
    services::Services,
};

/// Where the data comes from.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) services: Services,
    pub(crate) journal: Arc<Journal>,
    pub(crate) requests: Arc<Requests>,
    pub(crate) unreloadable: Arc<UnreloadablePages>,
    pub(crate) editor: Editor,
    pub(crate) morph: bool,
    pub(crate) keep_memory_mb: Option<u64>,
    pub(crate) host: Host,
}

/// This process.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    pub(crate) since: Instant,
    /// How often it has replaced itself, and why it did last.
    pub(crate) restarts: u64,
    pub(crate) restarted: Option<String>,
}

/// The document.
#[derive(Serialize)]
pub(crate) struct Status {
    version: &'static str,
    health: Health,
    /// The active generation; 0 before the first.
    generation: u64,
    phase: Phase,
    reloads: Reloads,
    /// `null` before the first reload; the initial load is not one.
    last_reload: Option<LastReload>,
    build: Build,
    tests: Testing,
    /// Whether the next save of app sources can run rustc without cargo.
    replays: bool,
    /// Counts saves of files that the app reads as it runs.
    revision: u64,
    generations: Vec<Snapshot>,
    /// Values of the app that outlive generations.
    kept: Vec<KeptValue>,
    images: KeptCode,
    db: Connections,
    /// All backends of this database; `null` like `db.backends`.
    activity: Option<Vec<Backend>>,
    history: Vec<PastReload>,
    latency: Option<Latency>,
    schema: SchemaState,
    requests: Vec<ServedRequest>,
    /// The number of the newest line of the log.
    log: u64,
    /// The last page that blocks the script and so does not reload by itself.
    unreloadable: Option<Unreloadable>,
    environment: Vec<ShownSetting>,
    pool_owner: PoolOwner,
    isolation: Isolation,
    host_pid: u32,
    /// Changes with each restart of the host, which keeps its PID.
    host_boot: String,
    /// How often the host has replaced itself under this PID.
    restarts: u64,
    /// The reason for the last restart.
    restarted: Option<String>,
    uptime_s: f64,
    address: SocketAddr,
    editor: Option<String>,
    root: PathBuf,
}

/// Libraries loaded since the host started or restarted; each stays mapped until the next restart.
#[derive(Serialize)]
struct KeptCode {
    /// Including the active one. `null` until measured after a reload, and where the system does not support it.
    kept: Option<usize>,
    /// Private memory of all of them; over the budget the host restarts.
    memory_kb: Option<u64>,
    /// `null`: no limit.
    budget_mb: Option<u64>,
}

#[derive(Serialize)]
struct Connections {
    /// The server, without the password; `none` for a project without a database.
    url: String,
    #[serde(flatten)]
    pool: DbStatus,
    /// Client backends of the application in `pg_stat_activity`. `null` while the connection is held alone or
    /// PostgreSQL does not answer.
    backends: Option<usize>,
    pids: Vec<i32>,
    sessions: Option<i64>,
    usable: Option<i32>,
    /// The query that counts them.
    counted_by: &'static str,
    refused: Refusals,
    /// The app's own drivers and other clients of the host's endpoint. `null` where there is none.
    clients: Option<Vec<ClientStatus>>,
}

/// The host's own routes.
pub(crate) fn routes(sources: Sources) -> Router {
    Router::new()
        .route("/__dev/status.json", get(status))
        .with_state(sources)
}

async fn status(State(sources): State<Sources>) -> Json<Status> {
    Json(sources.document().await)
}

impl Sources {
    /// Records the history. Runs until the host ends and aborts it.
    pub(crate) fn record(&self) -> impl Future<Output = ()> + use<> {
        let Handle {
            refusals, observer, ..
        } = self.services.database.clone();
        self.journal
            .clone()
            .record(self.services.report.clone(), refusals, observer)
    }

    /// Waits for an update that was not seen yet.
    pub(crate) async fn changed(&mut self) {
        let ended = tokio::select! {
            changed = self.services.health.changed() => changed.is_err(),
            changed = self.services.report.changed() => changed.is_err(),
            changed = self.services.database.refusals.changed() => changed.is_err(),
            changed = self.services.schema.changed() => changed.is_err(),
            changed = self.services.settings.changed() => changed.is_err(),
            changed = self.services.testing.changed() => changed.is_err(),
        };
        if ended {
            // The host is ending. The caller also waits for `stop`, which wakes it.
            std::future::pending::<()>().await;
        }
    }

    /// Marks the current values as seen.
    pub(crate) fn mark_seen(&mut self) {
        self.services.health.mark_unchanged();
        self.services.report.mark_unchanged();
        self.services.database.refusals.mark_unchanged();
        self.services.schema.mark_unchanged();
        self.services.settings.mark_unchanged();
        self.services.testing.mark_unchanged();
    }

    pub(crate) async fn document(&self) -> Status {
        // In sequence: behind a pooler each query holds the connection alone.
        let census = self.services.database.observer.count().await;
        let activity = self.services.database.observer.activity().await;
        self.journal.count(census.as_ref());
        let Report {
            phase,
            reloads,
            last_reload,
            build,
            replays,
            images,
            files,
            dealt_with: _,
        } = self.services.report.borrow().clone();
        let (generation, generations) = self.services.generations.snapshots();
        let host_pid = std::process::id();
        let census = census.as_ref();
        Status {
            version: env!("CARGO_PKG_VERSION"),
            health: self.services.health.borrow().clone(),
            generation,
            phase,
            reloads,
            last_reload: last_reload.filter(|last| !last.first),
            build,
            tests: self.services.testing.borrow().clone(),
            replays,
            revision: files.revision,
            generations,
            kept: self.services.kept.list(),
            images: KeptCode {
                kept: images.map(|images| images.kept),
                memory_kb: images.map(|images| images.memory_kb()),
                budget_mb: self.keep_memory_mb,
            },
            db: Connections {
                url: self.services.database.schema.place().0.to_string(),
                pool: self.services.database.db.status(),
                backends: census.map(|census| census.backends),
                pids: census.map(|census| census.pids.clone()).unwrap_or_default(),
                sessions: census.and_then(|census| census.sessions),
                usable: census.and_then(|census| census.usable),
                counted_by: CENSUS,
                refused: self.services.database.refusals.borrow().clone(),
                clients: self
                    .services
                    .database
                    .endpoint
                    .as_ref()
                    .map(Endpoint::clients),
            },
            activity,
            history: self.journal.history(),
            latency: self.journal.latency(),
            schema: self.services.schema.borrow().clone(),
            requests: self.requests.recent(),
            log: logs::newest(),
            unreloadable: self.unreloadable.last(),
            environment: self.services.settings.borrow().entries.clone(),
            pool_owner: self.services.mode.pool,
            isolation: self.services.mode.isolation,
            host_pid,
            host_boot: format!("{host_pid}:{}", self.host.restarts),
            restarts: self.host.restarts,
            restarted: self.host.restarted.clone(),
            uptime_s: self.host.since.elapsed().as_secs_f64(),
            address: self.host.address,
            editor: self.editor.template.clone(),
            root: self.editor.root.clone(),
        }
    }
}

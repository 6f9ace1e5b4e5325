//! `GET /__dev/status.json`: everything a program may want to know. What the terminal shows is in here too.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Json, Router, extract::State, routing::get};
use serde::Serialize;
use shared::{Db, PoolOwner, db::DbStatus};
use tokio::sync::watch;

use crate::{
    generation::{Generations, Stage},
    reload::{Build, LastReload, Phase, Reloads, Report},
};

/// How long counting may wait while somebody holds the connection alone.
const COUNT_LIMIT: Duration = Duration::from_millis(500);

/// Where the numbers come from.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) report: watch::Receiver<Report>,
    pub(crate) generations: Arc<Generations>,
    pub(crate) db: Db,
    pub(crate) address: SocketAddr,
    pub(crate) restarts: u64,
}

/// The document.
#[derive(Serialize)]
struct Status {
    /// The active one; 0 before the first.
    generation: u64,
    phase: Phase,
    reloads: Reloads,
    last_reload: Option<LastReload>,
    build: Build,
    generations: Vec<GenerationStatus>,
    db: Connections,
    pool_owner: PoolOwner,
    host_pid: u32,
    /// How often the host has replaced itself under this PID.
    restarts: u64,
    address: SocketAddr,
}

#[derive(Serialize)]
struct GenerationStatus {
    id: u64,
    state: Stage,
    in_flight: usize,
    served: u64,
}

#[derive(Serialize)]
struct Connections {
    #[serde(flatten)]
    pool: DbStatus,
    /// Client backends of this host as `pg_stat_activity` has them, asked over the one connection itself. `null` while
    /// somebody holds that alone or PostgreSQL does not answer.
    backends: Option<i64>,
}

/// The host's own routes.
pub(crate) fn routes(sources: Sources) -> Router {
    Router::new()
        .route("/__dev/status.json", get(status))
        .with_state(sources)
}

async fn status(State(sources): State<Sources>) -> Json<Status> {
    let counted = tokio::time::timeout(COUNT_LIMIT, sources.db.count_backends()).await;
    let backends = counted.ok().and_then(|counted| {
        counted
            .inspect_err(|error| tracing::debug!("counting backends: {error}"))
            .ok()
    });
    let Report {
        phase,
        reloads,
        last_reload,
        build,
    } = sources.report.borrow().clone();
    let all = sources.generations.all();
    let generations = all.iter().map(|generation| {
        let (state, in_flight) = generation.standing();
        GenerationStatus {
            id: generation.id(),
            state,
            in_flight,
            served: generation.served(),
        }
    });
    Json(Status {
        generation: sources.generations.active().map_or(0, |active| active.id()),
        phase,
        reloads,
        last_reload,
        build,
        generations: generations.collect(),
        db: Connections {
            pool: sources.db.status(),
            backends,
        },
        pool_owner: PoolOwner::Host,
        host_pid: std::process::id(),
        restarts: sources.restarts,
        address: sources.address,
    })
}

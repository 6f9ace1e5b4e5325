//! `GET /__dev/status.json`: everything a program may want to know. What the terminal shows is in here too.

use std::{net::SocketAddr, sync::Arc};

use axum::{Json, Router, extract::State, routing::get};
use serde::Serialize;
use shared::{
    Db, PoolOwner,
    db::{DbStatus, Refusal},
};
use tokio::sync::watch;

use super::{
    mode::Mode,
    observer::{CENSUS, Observer},
};
use crate::{
    generation::{Generations, Standing},
    reload::{Build, Isolation, LastReload, Phase, Reloads, Report},
};

/// Where the numbers come from.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) report: watch::Receiver<Report>,
    pub(crate) generations: Arc<Generations>,
    pub(crate) db: Db,
    pub(crate) observer: Arc<Observer>,
    pub(crate) refusals: watch::Receiver<Refusals>,
    pub(crate) mode: Mode,
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
    generations: Vec<Standing>,
    db: Connections,
    pool_owner: PoolOwner,
    isolation: Isolation,
    host_pid: u32,
    /// How often the host has replaced itself under this PID.
    restarts: u64,
    address: SocketAddr,
}

#[derive(Serialize)]
struct Connections {
    #[serde(flatten)]
    pool: DbStatus,
    /// Client backends of the application as `pg_stat_activity` has them. `null` while somebody holds the connection
    /// alone or PostgreSQL does not answer.
    backends: Option<usize>,
    pids: Vec<i32>,
    sessions: Option<i64>,
    usable: Option<i32>,
    /// The query that counts them.
    counted_by: &'static str,
    refused: Refusals,
}

/// How often PostgreSQL had no slot for the application (SQLSTATE 53300), and its words the last time.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Refusals {
    pub(crate) times: u64,
    pub(crate) last: Option<Refusal>,
}

/// The host's own routes.
pub(crate) fn routes(sources: Sources) -> Router {
    Router::new()
        .route("/__dev/status.json", get(status))
        .with_state(sources)
}

async fn status(State(sources): State<Sources>) -> Json<Status> {
    let census = sources.observer.count().await;
    let Report {
        phase,
        reloads,
        last_reload,
        build,
    } = sources.report.borrow().clone();
    let (generation, generations) = sources.generations.standing();
    Json(Status {
        generation,
        phase,
        reloads,
        last_reload,
        build,
        generations,
        db: Connections {
            pool: sources.db.status(),
            backends: census.as_ref().map(|census| census.backends),
            pids: census
                .as_ref()
                .map(|census| census.pids.clone())
                .unwrap_or_default(),
            sessions: census.as_ref().and_then(|census| census.sessions),
            usable: census.as_ref().and_then(|census| census.usable),
            counted_by: CENSUS,
            refused: sources.refusals.borrow().clone(),
        },
        pool_owner: sources.mode.pool,
        isolation: sources.mode.isolation,
        host_pid: std::process::id(),
        restarts: sources.restarts,
        address: sources.address,
    })
}

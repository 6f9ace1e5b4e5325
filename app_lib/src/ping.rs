//! `GET /api/ping`: which generation answers, on which PostgreSQL backend, and who owns the pool.

use axum::{Json, extract::State};
use serde::Serialize;
use shared::{AppState, PoolOwner, db::column};

use crate::error::AppError;

#[derive(Serialize)]
pub(crate) struct Ping {
    generation: u64,
    backend_pid: i32,
    pool_owner: PoolOwner,
}

pub(crate) async fn ping(State(app): State<AppState>) -> Result<Json<Ping>, AppError> {
    let row = app.db.query_one("SELECT pg_backend_pid()", &[]).await?;
    Ok(Json(Ping {
        generation: app.generation,
        backend_pid: column(&row, "pg_backend_pid")?,
        pool_owner: app.pool_owner,
    }))
}

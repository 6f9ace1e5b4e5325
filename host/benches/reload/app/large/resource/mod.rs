//! `/api/invoices`: list, read, create.

mod create;
mod list;
mod read;

use axum::{Router, routing::get};
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::AppState;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(list::list).post(create::create))
        .route("/{id}", get(read::read))
}

shared::row! {
    /// As it is stored.
    #[derive(Serialize)]
    pub(super) struct Invoice {
        id: i64,
        title: String,
        amount: i32,
        created_at: DateTime<Utc>,
    }
}

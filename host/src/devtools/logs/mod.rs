//! `/__dev/logs`: the last lines of the log, and what browsers have reported.
//!
//! A tab of the dashboard that works without a script, and the same as JSON for programs.

pub(super) mod filter;
pub(super) mod list;

use axum::{
    Json, Router,
    body::Body,
    extract::{Query, RawQuery, State},
    http::{Response, StatusCode},
    response::IntoResponse,
    routing::get,
};

use filter::Filter;

use super::{
    buttons::Token,
    dashboard::frame::{self, Content, Tab},
    pages::{Editor, uncached},
};
use crate::logs;

/// What the page is made of.
#[derive(Clone)]
pub(super) struct Logs {
    pub(super) editor: Editor,
    pub(super) token: Token,
}

pub(super) fn routes(logs: Logs) -> Router {
    Router::new()
        .route("/__dev/logs", get(page))
        .route("/__dev/logs.json", get(as_json))
        .with_state(logs)
}

async fn page(
    State(logs): State<Logs>,
    RawQuery(query): RawQuery,
    Query(filter): Query<Filter>,
) -> Response<Body> {
    let newest = logs::newest(); // before the lines: the page then asks once more, rather than misses one
    let query = query.unwrap_or_default();
    let page = list::page(&logs::all(), &filter, newest, &query, &logs.editor);
    let head = (StatusCode::OK, "Logs");
    frame::page(Tab::Logs, head, &logs.token, (Content::Rendered, &page))
}

async fn as_json(Query(filter): Query<Filter>) -> impl IntoResponse {
    let all = logs::all();
    let entries: Vec<_> = filter.select(&all).into_iter().map(list::entry).collect();
    uncached(StatusCode::OK, Json(entries))
}

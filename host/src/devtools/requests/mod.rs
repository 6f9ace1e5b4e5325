//! `/__dev/requests`: the last requests, and what each of them did.
//!
//! Tabs of the dashboard that work without a script, and the same as JSON for programs. A script only asks for the list
//! again when there is more.

mod again;
mod curl;
pub(super) mod explain;
pub(super) mod list;
mod page;
pub(super) mod shown;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Form, Json, Router,
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, Response, StatusCode},
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use maud::Markup;
use serde::Deserialize;
use shared::Db;

use super::{
    buttons::Token,
    dashboard::frame::{self, Content, Tab},
    pages::{Editor, uncached},
};
use crate::server::{Answered, RequestInfo, Requests, is_local_name};

/// What the pages are made of.
#[derive(Clone)]
pub(super) struct Traces {
    pub(super) requests: Arc<Requests>,
    pub(super) editor: Editor,
    pub(super) token: Token,
    pub(super) db: Db,
    /// Where the app answers.
    pub(super) address: SocketAddr,
}

pub(super) fn routes(traces: Traces) -> Router {
    Router::new()
        .route("/__dev/requests", get(all))
        .route("/__dev/requests.json", get(all_as_json))
        .route("/__dev/requests/{id}", get(one))
        .route("/__dev/requests/{id}/curl", get(as_curl))
        .route("/__dev/requests/{id}/again", post(again))
        .route("/__dev/requests/{id}/again/{other}", get(compared))
        .route("/__dev/requests/{id}/explain/{statement}", post(plan))
        .with_state(traces)
}

async fn all(State(traces): State<Traces>, Query(filter): Query<list::Filter>) -> Response<Body> {
    let requests = traces.requests.all();
    let page = list::page(&requests, &filter, traces.requests.are_traced());
    traces.page((StatusCode::OK, "Requests"), (Content::Rendered, &page))
}

async fn all_as_json(
    State(traces): State<Traces>,
    Query(filter): Query<list::Filter>,
) -> impl IntoResponse {
    let requests = traces.requests.all();
    let wanted = requests.iter().filter(|request| filter.wants(request));
    let entries: Vec<_> = wanted.map(|request| list::entry(request)).collect();
    uncached(StatusCode::OK, Json(entries))
}

/// As a page, or with `.json` behind the number as JSON.
async fn one(State(traces): State<Traces>, Path(id): Path<String>) -> Result<Response<Body>, Gone> {
    if let Some(id) = id.strip_suffix(".json") {
        let request = traces.find(id)?;
        return Ok(uncached(StatusCode::OK, Json(shown::document(&request))));
    }
    let request = traces.find(&id)?;
    let title = format!("{} {}", request.info.method, request.info.uri.path());
    let page = page::page(&request, &traces.editor, &traces.token);
    Ok(traces.page((StatusCode::OK, &title), (Content::Once, &page)))
}

/// Only for this machine: it is not masked. The gateway lets a local name through from nowhere else.
async fn as_curl(
    State(traces): State<Traces>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response<Body>, Gone> {
    if !is_local_name(RequestInfo::of(&request).host()) {
        let why = "the command holds secrets: open this page as localhost\n";
        return Ok((StatusCode::FORBIDDEN, why).into_response());
    }
    let command = curl::command(&*traces.find(&id)?);
    Ok(uncached(StatusCode::OK, command))
}

/// Sends it again, and leads to what differs.
async fn again(
    State(traces): State<Traces>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(asked): Form<Asked>,
) -> Result<Response<Body>, Gone> {
    if let Err(refused) = traces.token.check(&headers, asked.token.as_deref()) {
        return Ok(refused.into_response());
    }
    let request = traces.find(&id)?;
    match again::send(&request, traces.address).await {
        Ok(other) => {
            Ok(Redirect::to(&format!("/__dev/requests/{id}/again/{other}")).into_response())
        }
        Err(why) => {
            let (status, content) = again::refused(request.id, &why);
            Ok(traces.page((status, "Not sent again"), (Content::Rendered, &content)))
        }
    }
}

async fn compared(
    State(traces): State<Traces>,
    Path((id, other)): Path<(String, String)>,
) -> Result<Response<Body>, Gone> {
    let (before, after) = (traces.find(&id)?, traces.find(&other)?);
    let page = again::comparison(&before, &after);
    Ok(traces.page((StatusCode::OK, "Again"), (Content::Rendered, &page)))
}

/// A form with nothing but the button.
#[derive(Deserialize)]
struct Asked {
    token: Option<String>,
}

/// The plan of a statement that the request has run.
async fn plan(
    State(traces): State<Traces>,
    Path((id, number)): Path<(String, usize)>,
    headers: HeaderMap,
    Form(asked): Form<explain::Asked>,
) -> Result<Response<Body>, Gone> {
    if let Err(refused) = traces.token.check(&headers, asked.token.as_deref()) {
        return Ok(refused.into_response());
    }
    let request = traces.find(&id)?;
    let statement = explain::statement(&request, number);
    let plan = explain::explain(&traces.db, statement.as_ref(), asked.writes).await;
    let text = statement.as_ref().map_or("", |statement| &statement.text);
    let (status, content) = explain::page(&plan, request.id, text, &traces.token);
    Ok(traces.page((status, "EXPLAIN"), (Content::Once, &content)))
}

/// There is no such request: none yet, or none any more.
struct Gone(String);

impl IntoResponse for Gone {
    fn into_response(self) -> Response<Body> {
        let why = format!(
            "request {} is not kept: it still runs, or is none of the last ones since the host has started\n",
            self.0
        );
        (StatusCode::NOT_FOUND, why).into_response()
    }
}

impl Traces {
    fn page(&self, head: (StatusCode, &str), content: (Content, &Markup)) -> Response<Body> {
        frame::page(Tab::Requests, head, &self.token, content)
    }

    fn find(&self, id: &str) -> Result<Arc<Answered>, Gone> {
        let found = id.parse().ok().and_then(|id| self.requests.find(id));
        found.ok_or_else(|| Gone(id.to_owned()))
    }
}

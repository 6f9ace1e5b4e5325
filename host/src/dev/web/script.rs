//! The script in each page, which reloads it after a swap and shows why a build failed.
//!
//! Owns which responses get the script, and the events it receives. A response that is not a page passes through
//! unchanged. A page gets the script's tag at its end, and loses the headers that would allow caching.

use std::{convert::Infallible, path::Path, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{RawQuery, State},
    http::{Method, Response, StatusCode, header},
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    append::append,
    dashboard::COME_BACK,
    pages::Editor,
    policy::{UnreloadablePages, Verdict, judge},
    request_info::RequestInfo,
};
use crate::{
    dev::{
        health::Health,
        schema::SchemaState,
        terminal::{self, NOTE},
    },
    generation::Generations,
    reload::{Diagnostic, Phase, Report},
};

const SCRIPT: [&str; 9] = [
    "(() => {\n\"use strict\";\n",
    include_str!("ansi.js"),
    include_str!("place.js"),
    include_str!("overlay.js"),
    include_str!("stream.js"),
    include_str!("leaving.js"),
    include_str!("kept.js"),
    include_str!("browser.js"),
    "\n})();\n",
];

/// What the events are made from.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) report: watch::Receiver<Report>,
    pub(super) generations: Arc<Generations>,
    pub(super) schema: watch::Receiver<SchemaState>,
    pub(super) health: watch::Receiver<Health>,
    pub(super) editor: Editor,
    /// Ends the streams when the host ends; the script then waits for the next host.
    pub(super) stop: CancellationToken,
}

/// What a page was rendered from. The script reloads the page when that has changed.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub(super) generation: u64,
    /// Revision of the files that the app reads at run time.
    pub(super) revision: u64,
    /// Revision of the schema that blocked the app, if one did.
    pub(super) schema: Option<u64>,
    /// The outage during which it was rendered, if any.
    pub(super) outage: Option<u64>,
}

/// One event for the script.
#[derive(Serialize)]
struct News<'a> {
    /// PID of the host, which is kept over restarts. Another host counts its generations from 1 again.
    host: u32,
    generation: u64,
    revision: u64,
    phase: Phase,
    diagnostics: &'a [Diagnostic],
    /// The number of all errors, including those that are not in `diagnostics`.
    errors: usize,
    refused: Option<&'a str>,
    schema: Option<u64>,
    outage: Option<u64>,
    trouble: Option<&'a str>,
    editor: Option<&'a str>,
    root: &'a Path,
}

pub(super) fn routes(script: Script) -> Router {
    Router::new()
        .route("/__dev/events", get(events))
        .route("/__dev/browser.js", get(file))
        .with_state(script)
}

async fn file() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, SCRIPT.concat())
}

/// The state now, and again whenever it changes; with `?once` only now.
async fn events(
    State(script): State<Script>,
    RawQuery(query): RawQuery,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut start = script.clone();
    start.report.mark_changed(); // so that the current state is sent at once
    let news = stream::unfold(start, async |mut script| {
        tokio::select! {
            changed = script.report.changed() => changed.ok()?,
            changed = script.schema.changed() => changed.ok()?,
            changed = script.health.changed() => changed.ok()?,
            () = script.stop.cancelled() => return None,
        }
        let now = script.report.borrow_and_update().clone();
        let health = script.health.borrow_and_update().clone();
        let news = News {
            host: std::process::id(),
            generation: script.generations.active_id(),
            revision: now.revision,
            phase: now.phase,
            diagnostics: &now.build.diagnostics,
            errors: now.build.errors,
            refused: now.build.refused.as_deref(),
            schema: script.schema.borrow_and_update().revision(),
            outage: health.outage,
            trouble: health.trouble.as_ref().map(|trouble| trouble.what.as_str()),
            editor: script.editor.template.as_deref(),
            root: &script.editor.root,
        };
        let event = Event::default()
            .json_data(news)
            .expect("strings and numbers")
            .retry(COME_BACK);
        Some((Ok(event), script))
    });
    Sse::new(news.take(messages(query.as_deref()))).keep_alive(KeepAlive::default())
}

/// How many messages the client wants.
pub(super) fn messages(query: Option<&str>) -> usize {
    if query == Some("once") { 1 } else { usize::MAX }
}

/// Adds the script to a page. A page that blocks it is recorded in `unreloadable` and reported to the user.
pub(super) fn add_script(
    info: &RequestInfo,
    origin: Origin,
    response: Response<Body>,
    unreloadable: &UnreloadablePages,
) -> Response<Body> {
    if info.method == Method::HEAD || info.is_part() || !is_shown_as_page(&response) {
        return response;
    }
    let path = info.uri.path();
    let note = |because: Option<&str>| {
        if unreloadable.note(path, because)
            && let Some(because) = because
        {
            terminal::line(format_args!(
                "{NOTE}! {path} does not reload by itself: `{because}` keeps the dev server's script out{NOTE:#}"
            ));
        }
    };
    if let Some(encoding) = response.headers().get(header::CONTENT_ENCODING) {
        // The app compressed although the navigation did not allow it.
        if info.is_navigation() {
            let encoding = String::from_utf8_lossy(encoding.as_bytes());
            note(Some(&format!("content-encoding: {encoding}")));
        }
        return response;
    }
    let Verdict {
        nonce,
        forbidden_by,
    } = judge(response.headers(), info.host());
    note(forbidden_by.as_deref());
    append(response, tag(info, origin, nonce), info.is_document())
}

fn tag(info: &RequestInfo, origin: Origin, nonce: Option<String>) -> String {
    let nonce = nonce.map_or_else(String::new, |nonce| format!(" nonce=\"{nonce}\""));
    let Origin {
        generation,
        revision,
        schema,
        outage,
    } = origin;
    let data = |name: &str, value: Option<u64>| {
        value.map_or_else(String::new, |value| format!(" data-{name}=\"{value}\""))
    };
    let revision = data("revision", (revision > 0).then_some(revision));
    let (schema, outage) = (data("schema", schema), data("outage", outage));
    let host = std::process::id();
    // Reloading the response to a form would send the form again.
    let keep = if info.method == Method::GET {
        ""
    } else {
        " data-keep"
    };
    format!(
        "<script src=\"/__dev/browser.js\" data-host=\"{host}\" data-generation=\"{generation}\"{revision}{schema}{outage}{keep}{nonce} defer></script>"
    )
}

/// Whether it is a complete HTML page for display.
fn is_shown_as_page(response: &Response<Body>) -> bool {
    let says = |name, value: &[u8]| {
        let header = response.headers().get(name);
        header.is_some_and(|header| header.as_bytes().starts_with(value))
    };
    let status = response.status();
    let is_empty_or_part = status.is_redirection()
        || matches!(
            status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT
        );
    says(header::CONTENT_TYPE, b"text/html")
        && !is_empty_or_part
        && !says(header::CONTENT_DISPOSITION, b"attachment")
}

//! The browser's side of a save: a script in each page that reloads it after a swap and shows why a build failed.
//!
//! Owns which answers get the script, and what it is told. An answer that is no page to look at passes through
//! untouched; a page differs by the script's tag at its end and by the headers that would let a cache keep it.

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
    asked::Asked,
    dashboard::COME_BACK,
    pages::Editor,
    policy::{UnreloadablePages, Verdict, judge},
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

/// What the script is told, and until when.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) report: watch::Receiver<Report>,
    pub(super) generations: Arc<Generations>,
    pub(super) schema: watch::Receiver<SchemaState>,
    pub(super) health: watch::Receiver<Health>,
    pub(super) editor: Editor,
    /// Ends the streams with the host; the script then waits for the next one.
    pub(super) stop: CancellationToken,
}

/// What a page was made from; the script loads it anew when that has changed.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub(super) generation: u64,
    /// Of the files that the app reads as it runs.
    pub(super) revision: u64,
    /// Of the schema that blocked the app, if one did.
    pub(super) schema: Option<u64>,
    /// What kept the app from answering as it would, if anything did.
    pub(super) outage: Option<u64>,
}

/// One message to the script.
#[derive(Serialize)]
struct News<'a> {
    /// PID of the host, which restarts keep: each counts its generations from 1.
    host: u32,
    generation: u64,
    revision: u64,
    phase: Phase,
    diagnostics: &'a [Diagnostic],
    /// All of them, beyond those in `diagnostics` too.
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

/// The state now, and again whenever it changes; with `?once` no more than that.
async fn events(
    State(script): State<Script>,
    RawQuery(query): RawQuery,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut start = script.clone();
    start.report.mark_changed(); // the state now is news to whoever has just come
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
            generation: script.generations.active().map_or(0, |active| active.id()),
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

/// How many messages a stream is asked for.
pub(super) fn messages(query: Option<&str>) -> usize {
    if query == Some("once") { 1 } else { usize::MAX }
}

/// Adds the script to a page. One that keeps it out is noted among `unreloadable`, and the user is told.
pub(super) fn add_script(
    asked: &Asked,
    origin: Origin,
    response: Response<Body>,
    unreloadable: &UnreloadablePages,
) -> Response<Body> {
    if asked.method == Method::HEAD || asked.is_part() || !is_shown_as_page(&response) {
        return response;
    }
    let path = asked.uri.path();
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
        // A navigation has not asked for it.
        if asked.is_navigation() {
            let encoding = String::from_utf8_lossy(encoding.as_bytes());
            note(Some(&format!("content-encoding: {encoding}")));
        }
        return response;
    }
    let Verdict {
        nonce,
        forbidden_by,
    } = judge(response.headers(), asked.host());
    note(forbidden_by.as_deref());
    append(response, tag(asked, origin, nonce), asked.is_document())
}

fn tag(asked: &Asked, origin: Origin, nonce: Option<String>) -> String {
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
    // Loading the answer to a form anew would send the form again.
    let keep = if asked.method == Method::GET {
        ""
    } else {
        " data-keep"
    };
    format!(
        "<script src=\"/__dev/browser.js\" data-host=\"{host}\" data-generation=\"{generation}\"{revision}{schema}{outage}{keep}{nonce} defer></script>"
    )
}

/// HTML that a browser shows, whole.
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

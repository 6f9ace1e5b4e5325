//! The browser's side of a save: a script in each page that reloads it after a swap and shows why a build failed.
//!
//! Owns which answers get the script, and what it is told. An answer that is not a whole HTML document of known
//! length passes through untouched; one that is differs by the script's tag and nothing else.

use std::{convert::Infallible, path::Path, sync::Arc};

use axum::{
    Router,
    body::{Body, HttpBody, to_bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, Method, Response, header},
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{asked::Asked, dashboard::COME_BACK, pages::Editor};
use crate::{
    dev::schema::SchemaState,
    generation::Generations,
    reload::{Diagnostic, Phase, Report},
};

const SCRIPT: [&str; 6] = [
    "(() => {\n\"use strict\";\n",
    include_str!("ansi.js"),
    include_str!("place.js"),
    include_str!("overlay.js"),
    include_str!("browser.js"),
    "\n})();\n",
];

/// A page larger than this is passed on as it is: reading it whole would hold it up.
const LARGEST: u64 = 4 << 20;

/// What the script is told, and until when.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) report: watch::Receiver<Report>,
    pub(super) generations: Arc<Generations>,
    pub(super) schema: watch::Receiver<SchemaState>,
    pub(super) editor: Editor,
    /// Ends the streams with the host; the script then waits for the next one.
    pub(super) stop: CancellationToken,
}

/// What a page was made from; the script loads it anew when that has changed.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub(super) generation: u64,
    /// Of the schema that blocked the app, if one did.
    pub(super) schema: Option<u64>,
}

/// One message to the script.
#[derive(Serialize)]
struct News<'a> {
    generation: u64,
    phase: Phase,
    diagnostics: &'a [Diagnostic],
    /// All of them, beyond those in `diagnostics` too.
    errors: usize,
    refused: Option<&'a str>,
    schema: Option<u64>,
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

/// The state now, and again whenever it changes.
async fn events(
    State(script): State<Script>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut start = script.clone();
    start.report.mark_changed(); // the state now is news to whoever has just come
    let news = stream::unfold(start, async |mut script| {
        tokio::select! {
            changed = script.report.changed() => changed.ok()?,
            changed = script.schema.changed() => changed.ok()?,
            () = script.stop.cancelled() => return None,
        }
        let now = script.report.borrow_and_update().clone();
        let news = News {
            generation: script.generations.active().map_or(0, |active| active.id()),
            phase: now.phase,
            diagnostics: &now.build.diagnostics,
            errors: now.build.errors,
            refused: now.build.refused.as_deref(),
            schema: script.schema.borrow_and_update().revision(),
            editor: script.editor.template.as_deref(),
            root: &script.editor.root,
        };
        let event = Event::default()
            .json_data(news)
            .expect("strings and numbers")
            .retry(COME_BACK);
        Some((Ok(event), script))
    });
    Sse::new(news).keep_alive(KeepAlive::default())
}

/// Adds the script to a page.
pub(super) async fn add_script(
    asked: &Asked,
    origin: Origin,
    response: Response<Body>,
) -> Response<Body> {
    if !is_plain_html(response.headers()) || asked.method == Method::HEAD || asked.is_part() {
        return response;
    }
    let length = response.body().size_hint().exact();
    let Some(length) = length.filter(|length| *length <= LARGEST) else {
        return response;
    };
    let (mut parts, body) = response.into_parts();
    // A complete body of a known length: nothing is waited for, and nothing can be too long.
    let page = match to_bytes(body, usize::try_from(length).unwrap_or(usize::MAX)).await {
        Ok(page) => page,
        Err(error) => {
            tracing::debug!("a page ended early: {error}");
            return Response::from_parts(parts, Body::empty());
        }
    };
    // A fragment, for a script that puts it somewhere, has no body to end.
    let Some(end) = page
        .windows(CLOSING.len())
        .rposition(|window| window.eq_ignore_ascii_case(CLOSING))
    else {
        return Response::from_parts(parts, Body::from(page));
    };
    let tag = tag(asked, origin, &nonce(&parts.headers));
    let page = [&page[..end], tag.as_bytes(), &page[end..]].concat();
    // They are of the page without the script: an answer "not modified" would bring back the script of an old one.
    parts.headers.remove(header::ETAG);
    parts.headers.remove(header::LAST_MODIFIED);
    let no_store = HeaderValue::from_static("no-store");
    parts.headers.insert(header::CACHE_CONTROL, no_store);
    if parts.headers.contains_key(header::CONTENT_LENGTH) {
        parts
            .headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(page.len()));
    }
    Response::from_parts(parts, Body::from(page))
}

fn tag(asked: &Asked, origin: Origin, nonce: &str) -> String {
    let Origin { generation, schema } = origin;
    let schema = schema.map_or_else(String::new, |schema| format!(" data-schema=\"{schema}\""));
    // Loading the answer to a form anew would send the form again.
    let keep = if asked.method == Method::GET {
        ""
    } else {
        " data-keep"
    };
    format!(
        "<script src=\"/__dev/browser.js\" data-generation=\"{generation}\"{schema}{keep}{nonce} defer></script>"
    )
}

const CLOSING: &[u8] = b"</body>";

/// Not encoded, so that text can be added.
fn is_plain_html(headers: &HeaderMap) -> bool {
    let html = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    html && !headers.contains_key(header::CONTENT_ENCODING)
}

/// The nonce that the page's own policy asks scripts for, as an attribute.
fn nonce(headers: &HeaderMap) -> String {
    let policy = headers
        .get(header::CONTENT_SECURITY_POLICY)
        .and_then(|policy| policy.to_str().ok())
        .unwrap_or_default();
    let nonce = policy
        .split_once("'nonce-")
        .and_then(|(_, rest)| rest.split_once('\''));
    match nonce {
        // Base64, as the policy's grammar has it: nothing that could end the attribute.
        Some((nonce, _))
            if nonce
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte)) =>
        {
            format!(" nonce=\"{nonce}\"")
        }
        _ => String::new(),
    }
}

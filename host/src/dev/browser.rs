//! The browser's side of a save: a script in each page that reloads it after a swap and shows why a build failed.
//!
//! Owns which answers get the script, and what it is told. An answer that is not a whole HTML document of known
//! length passes through untouched; one that is differs by the script's tag and nothing else.

use std::{convert::Infallible, sync::Arc};

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

use crate::{
    generation::Generations,
    reload::{Diagnostic, Phase, Report},
    serve::dispatch::ServedBy,
};

const SCRIPT: &str = include_str!("browser.js");

/// A page larger than this is passed on as it is: reading it whole would hold it up.
const LARGEST: u64 = 4 << 20;

/// What the script is told, and until when.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) report: watch::Receiver<Report>,
    pub(crate) generations: Arc<Generations>,
    /// Turns a place in a file into a link: `vscode://file/{file}:{line}:{column}`.
    pub(crate) editor: Option<String>,
    /// The root of the project: diagnostics name files relative to it.
    pub(crate) root: String,
    /// Ends the streams with the host; the script then waits for the next one.
    pub(crate) stop: CancellationToken,
}

/// One message to the script.
#[derive(Serialize)]
struct News<'a> {
    generation: u64,
    phase: Phase,
    diagnostics: &'a [Diagnostic],
    refused: Option<&'a str>,
    editor: Option<&'a str>,
    root: &'a str,
}

pub(crate) fn routes(browser: Browser) -> Router {
    Router::new()
        .route("/__dev/events", get(events))
        .route("/__dev/browser.js", get(script))
        .with_state(browser)
}

async fn script() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, SCRIPT)
}

/// The state now, and again whenever it changes.
async fn events(
    State(browser): State<Browser>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut report = browser.report.clone();
    report.mark_changed(); // the state now is news to whoever has just come
    let news = stream::unfold((report, browser), async |(mut report, browser)| {
        tokio::select! {
            changed = report.changed() => changed.ok()?,
            () = browser.stop.cancelled() => return None,
        }
        let now = report.borrow_and_update().clone();
        let news = News {
            generation: browser.generations.active().map_or(0, |active| active.id()),
            phase: now.phase,
            diagnostics: &now.build.diagnostics,
            refused: now.build.refused.as_deref(),
            editor: browser.editor.as_deref(),
            root: &browser.root,
        };
        let event = Event::default()
            .json_data(news)
            .expect("strings and numbers");
        Some((Ok(event), (report, browser)))
    });
    Sse::new(news).keep_alive(KeepAlive::default())
}

/// Adds the script to a page that came from the app.
pub(crate) async fn add_script(
    method: &Method,
    asked_for_part: bool,
    response: Response<Body>,
) -> Response<Body> {
    let length = response
        .body()
        .size_hint()
        .exact()
        .filter(|length| *length <= LARGEST);
    let (true, Some(length)) = (
        *method != Method::HEAD && !asked_for_part && is_plain_html(response.headers()),
        length,
    ) else {
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
    let generation = parts
        .extensions
        .get()
        .map_or(0, |ServedBy(generation)| *generation);
    let nonce = nonce(&parts.headers);
    let tag = format!(
        "<script src=\"/__dev/browser.js\" data-generation=\"{generation}\"{nonce} defer></script>"
    );
    let page = [&page[..end], tag.as_bytes(), &page[end..]].concat();
    if parts.headers.contains_key(header::CONTENT_LENGTH) {
        parts
            .headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(page.len()));
    }
    Response::from_parts(parts, Body::from(page))
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

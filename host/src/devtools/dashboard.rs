//! The dashboard: a page, its files, and the stream that keeps it up to date.
//!
//! The page is static except for the token and the titles of buttons. Everything it shows is in `status.json`, which
//! the stream repeats.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    extract::{RawQuery, State},
    http::header,
    response::{
        Html, IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use futures_util::{Stream, StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{
    buttons::Token,
    status::Sources,
    stream::{COME_BACK, messages},
};
use crate::actions::ACTIONS;

const PAGE: &str = include_str!("dashboard.html");
const STYLE: &str = include_str!("dashboard.css");
const SCRIPT: [&str; 8] = [
    "(() => {\n\"use strict\";\n",
    include_str!("ansi.js"),
    include_str!("chart.js"),
    include_str!("place.js"),
    include_str!("elements.js"),
    include_str!("stream.js"),
    include_str!("dashboard.js"),
    "\n})();\n",
];

/// Only our own files, and no inline script: unescaped text could not run even if it slipped through.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Counts, ages and waits change without an event.
const TICK: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct Dashboard {
    pub(super) sources: Sources,
    pub(super) token: Token,
    /// Ends the streams with the host; the page then waits for the next one.
    pub(super) stop: CancellationToken,
}

pub(super) fn routes(dashboard: Dashboard) -> Router {
    let file = |kind: &'static str, text: String| {
        let headers = [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, "no-store"),
        ];
        get(async move || (headers, text))
    };
    Router::new()
        .route("/__dev", get(page))
        .route("/__dev/", get(page))
        .route("/__dev/dashboard.css", file("text/css", STYLE.to_owned()))
        .route(
            "/__dev/dashboard.js",
            file("text/javascript", SCRIPT.concat()),
        )
        .route("/__dev/status", get(stream_status))
        .with_state(dashboard)
}

async fn page(State(dashboard): State<Dashboard>) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let page = PAGE.replace("{{token}}", dashboard.token.as_str());
    let titled = ACTIONS.iter().fold(page, |page, action| {
        page.replace(&format!("{{{{{}}}}}", action.name), action.title)
    });
    (headers, Html(titled))
}

/// The whole state: now, whenever part of it changes, and every second; with `?once` only now.
async fn stream_status(
    State(dashboard): State<Dashboard>,
    RawQuery(query): RawQuery,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let start = (dashboard, None::<Sources>);
    let states = stream::unfold(start, async |(dashboard, seen)| {
        let mut sources = match seen {
            None => dashboard.sources.clone(),
            Some(mut sources) => {
                tokio::select! {
                    () = dashboard.stop.cancelled() => return None,
                    () = sources.changed() => {}
                    () = tokio::time::sleep(TICK) => {}
                }
                sources
            }
        };
        sources.mark_seen();
        let event = Event::default()
            .json_data(sources.document().await)
            .expect("strings and numbers")
            .retry(COME_BACK);
        Some((Ok(event), (dashboard, Some(sources))))
    });
    Sse::new(states.take(messages(query.as_deref()))).keep_alive(KeepAlive::default())
}

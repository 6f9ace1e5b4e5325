//! The dashboard: its tabs, its files, and the stream that keeps it up to date.
//!
//! What these tabs show is static but for the titles of buttons: a script draws what is in `status.json`, which the
//! stream repeats. The tabs with content from the server are elsewhere, in the same [`frame`].

pub(super) mod frame;

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    extract::{RawQuery, State},
    http::StatusCode,
    response::sse::{Event, KeepAlive, Sse},
    routing::get,
};
use futures_util::{Stream, StreamExt, stream};
use maud::PreEscaped;
use tokio_util::sync::CancellationToken;

use self::frame::{Content, Section, Tab};
use super::{
    asset::asset,
    buttons::Token,
    status::Sources,
    stream::{COME_BACK, messages},
};
use crate::actions::ACTIONS;

/// What the script draws, by tab.
const DRAWN: [(Tab, &str); 5] = [
    (Tab::Overview, include_str!("overview.html")),
    (Tab::Database, include_str!("database.html")),
    (Tab::Reloads, include_str!("reloads.html")),
    (Tab::Leak, include_str!("leak.html")),
    (Tab::Settings, include_str!("settings.html")),
];

/// Parts of several tabs, under their names there.
const SHARED: [(&str, &str); 2] = [
    ("{{build}}", include_str!("build.html")),
    ("{{activity}}", include_str!("activity.html")),
];

const STYLE: [&str; 2] = [include_str!("dashboard.css"), include_str!("pages.css")];

const SCRIPT: [&str; 16] = [
    "(() => {\n\"use strict\";\n",
    include_str!("../ansi.js"),
    include_str!("../place.js"),
    include_str!("../stream.js"),
    include_str!("elements.js"),
    include_str!("chart.js"),
    include_str!("followed.js"),
    include_str!("overview.js"),
    include_str!("requests.js"),
    include_str!("logs.js"),
    include_str!("database.js"),
    include_str!("reloads.js"),
    include_str!("leak.js"),
    include_str!("settings.js"),
    include_str!("sql.js"),
    concat!(include_str!("dashboard.js"), "\n})();\n"),
];

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
    let mut routes = Router::new()
        .route("/__dev/dashboard.css", asset("text/css", STYLE.concat()))
        .route(
            "/__dev/dashboard.js",
            asset("text/javascript", SCRIPT.concat()),
        )
        .route("/__dev/status", get(stream_status));
    for (tab, text) in DRAWN {
        let content = PreEscaped(filled(text));
        let page = get(async move |State(dashboard): State<Dashboard>| {
            let drawn = (Content::Drawn, &content);
            frame::page(tab, (StatusCode::OK, tab.title()), &dashboard.token, drawn)
        });
        routes = routes.route(tab.path(), page.clone());
        if tab == Tab::Overview {
            routes = routes.route("/__dev/", page);
        }
    }
    routes.with_state(dashboard)
}

/// With the parts that it shares, and the titles of its buttons.
fn filled(text: &str) -> String {
    let whole = SHARED.iter().fold(text.to_owned(), |text, (name, part)| {
        text.replace(name, part)
    });
    let sections = frame::sections(Section::Connections).into_string();
    let whole = whole.replace("{{sections}}", &sections);
    ACTIONS.iter().fold(whole, |text, action| {
        text.replace(&format!("{{{{{}}}}}", action.name), action.title)
    })
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

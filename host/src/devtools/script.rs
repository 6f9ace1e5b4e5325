//! The script in each page, which renders it again after a swap and shows why a build failed: its file and its events.

use std::{collections::VecDeque, convert::Infallible, path::Path, sync::Arc};

use axum::{
    Router,
    extract::{RawQuery, State},
    response::sse::{Event, KeepAlive, Sse},
    routing::get,
};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    asset::asset,
    pages::Editor,
    stream::{COME_BACK, messages},
};
use crate::{
    database::SchemaState,
    events::{Diagnostic, Phase, Report, SavedFile, Testing},
    generation::Generations,
    health::Health,
};

const SCRIPT: [&str; 13] = [
    "(() => {\n\"use strict\";\n",
    include_str!("ansi.js"),
    include_str!("place.js"),
    include_str!("overlay.js"),
    include_str!("bar.js"),
    include_str!("stream.js"),
    include_str!("vendor/idiomorph.min.js"),
    include_str!("files.js"),
    include_str!("morph.js"),
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
    pub(super) testing: watch::Receiver<Testing>,
    pub(super) editor: Editor,
    /// Whether pages may change in place.
    pub(super) morph: bool,
    /// Ends the streams when the host ends; the script then waits for the next host.
    pub(super) stop: CancellationToken,
}

/// One event for the script.
#[derive(Serialize)]
struct News<'a> {
    /// PID of the host, which is kept over restarts. Another host counts its generations from 1 again.
    host: u32,
    generation: u64,
    revision: u64,
    /// What the last revisions were.
    saved: &'a VecDeque<SavedFile>,
    morph: bool,
    phase: Phase,
    diagnostics: &'a [Diagnostic],
    /// The number of all errors, including those that are not in `diagnostics`.
    errors: usize,
    refused: Option<&'a str>,
    schema: Option<u64>,
    outage: Option<u64>,
    trouble: Option<&'a str>,
    tests: Option<Tests>,
    editor: Option<&'a str>,
    root: &'a Path,
}

/// What the bar says of the tests.
#[derive(Serialize)]
struct Tests {
    words: String,
    /// `None` while they run.
    succeeded: Option<bool>,
}

/// `None`: nothing was tested.
fn tests(now: &Testing) -> Option<Tests> {
    if now.running.is_some() {
        let words = "testing …".to_owned();
        return Some(Tests {
            words,
            succeeded: None,
        });
    }
    now.last.as_ref().filter(|_| now.on).map(|last| Tests {
        words: format!("tests: {}", last.words),
        succeeded: Some(last.succeeded),
    })
}

pub(super) fn routes(script: Script) -> Router {
    Router::new()
        .route("/__dev/events", get(events))
        .route(
            "/__dev/browser.js",
            asset("text/javascript", SCRIPT.concat()),
        )
        .with_state(script)
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
            changed = script.testing.changed() => changed.ok()?,
            () = script.stop.cancelled() => return None,
        }
        let now = script.report.borrow_and_update().clone();
        let health = script.health.borrow_and_update().clone();
        let news = News {
            host: std::process::id(),
            generation: script.generations.active_id(),
            revision: now.files.revision,
            saved: &now.files.saved,
            morph: script.morph,
            phase: now.phase,
            diagnostics: &now.build.diagnostics,
            errors: now.build.errors,
            refused: now.build.refused.as_deref(),
            schema: script.schema.borrow_and_update().revision(),
            outage: health.outage,
            trouble: health.trouble.as_ref().map(|trouble| trouble.what.as_str()),
            tests: tests(&script.testing.borrow_and_update()),
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

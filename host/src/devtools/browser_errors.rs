//! Errors in the app's pages: the script that reports them, and where it sends them.
//!
//! A page needs no token for that, since a token in it would let every script of the page use the host's actions. It
//! must be of this origin; and what it says is taken for no more than text.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use shared::db::trace::Line;

use super::{asset::asset, buttons::is_same_origin};
use crate::{
    events::{BrowserError, Event, Events},
    logs::{self, Origin, Source},
};

const SCRIPT: &str = include_str!("errors.js");

/// Of one report.
const MAX_BYTES: usize = 64 << 10;

/// How many are taken in how long, from all pages. Each page limits itself to less.
const MOST: u32 = 100;
const WINDOW: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Intake {
    events: Events,
    window: Arc<Mutex<Window>>,
}

struct Window {
    since: Instant,
    taken: u32,
}

pub(super) fn routes(events: Events) -> Router {
    let window = Window {
        since: Instant::now(),
        taken: 0,
    };
    Router::new()
        .route(
            "/__dev/errors.js",
            asset("text/javascript", SCRIPT.to_owned()),
        )
        .route("/__dev/errors", post(take))
        .layer(DefaultBodyLimit::max(MAX_BYTES))
        .with_state(Intake {
            events,
            window: Arc::new(Mutex::new(window)),
        })
}

async fn take(
    State(intake): State<Intake>,
    headers: HeaderMap,
    Json(error): Json<BrowserError>,
) -> StatusCode {
    if !is_same_origin(&headers) {
        return StatusCode::FORBIDDEN;
    }
    if !intake.has_room() {
        return StatusCode::TOO_MANY_REQUESTS;
    }
    let error = error.tamed();
    keep(&error);
    intake.events.emit(Event::BrowserError(error));
    StatusCode::NO_CONTENT
}

impl Intake {
    fn has_room(&self) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.since.elapsed() > WINDOW {
            *window = Window {
                since: Instant::now(),
                taken: 0,
            };
        }
        window.taken += 1;
        window.taken <= MOST
    }
}

/// Among the lines of the log.
fn keep(error: &BrowserError) {
    let stack = error.stack.as_deref().unwrap_or_default();
    let text = format!("{}  {}\n{stack}", error.path, error.message);
    let at = error.file.as_deref().zip(error.line);
    let line = Line::new("ERROR", "browser", text.trim_end(), at);
    let origin = Origin {
        generation: error.generation,
        request: error.request,
    };
    logs::keep(Source::Browser, origin, line, error.column);
}

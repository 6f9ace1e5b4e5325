//! The last requests: what was asked, what was answered, and what happened in between.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, Response, StatusCode},
};
use chrono::{DateTime, Local};
use serde::Serialize;
use shared::{db::trace::Recorded, request::Request};

use super::{
    excerpt::Excerpt,
    findings::{Parameters, Repeated, repeated},
    request_info::RequestInfo,
    timing::{SERVER_TIMING, Timing},
};

/// The number of the request, under which `/__dev/requests` shows it.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request that takes this long, or longer, is slow.
const SLOW: Duration = Duration::from_millis(500);

/// As many as `status.json` lists.
const LISTED: usize = 50;

/// An answered request in raw form: most are never displayed, so they are formatted only on demand.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Counts requests, since the host has started. In the header `x-request-id`.
    pub(crate) id: u64,
    pub(crate) info: RequestInfo,
    pub(crate) status: StatusCode,
    pub(crate) at: SystemTime,
    /// From when a generation was there to ask until the response began; a stream may continue.
    pub(crate) took: Duration,
    /// Where the time until then went.
    pub(crate) timing: Timing,
    /// It has run one query for each row of another.
    pub(crate) is_n_plus_1: bool,
    pub(crate) generation: u64,
    /// What it has done, and may still do. `None`: no generation was asked.
    pub(crate) request: Option<Arc<Request>>,
    pub(crate) panic: Option<String>,
    pub(crate) database: Option<String>,
    /// Headers of the response, unmasked.
    pub(crate) headers: HeaderMap,
    pub(crate) bodies: Bodies,
}

/// The bodies of a request and its response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bodies {
    pub(crate) request: Excerpt,
    pub(crate) response: Excerpt,
}

/// What it took to render a page.
#[derive(Clone, Copy)]
pub(super) struct Rendering {
    /// In `/__dev/requests/ID`.
    pub(super) request: u64,
    pub(super) took: Duration,
    pub(super) statements: u64,
    pub(super) is_n_plus_1: bool,
}

/// The same, formatted for display.
#[derive(Debug, Serialize)]
pub(crate) struct ServedRequest {
    /// In `/__dev/requests/ID`.
    pub(crate) id: u64,
    /// Local time of the answer.
    pub(crate) at: String,
    pub(crate) method: String,
    /// Without the query, which may hold secrets.
    pub(crate) path: String,
    pub(crate) status: u16,
    /// Until the response began; a stream may continue.
    pub(crate) ms: f64,
    pub(crate) generation: u64,
    /// Sent until then, including BEGIN and COMMIT.
    pub(crate) statements: u64,
    /// It has run one query for each row of another.
    pub(crate) n_plus_1: bool,
    /// With the time for which it was held.
    pub(crate) slow: bool,
    /// Message and place, if the handler panicked.
    pub(crate) panic: Option<String>,
    /// Message and place of the last database error, if the response is a 5xx.
    pub(crate) database: Option<String>,
}

/// Newest first.
#[derive(Debug)]
pub(crate) struct Requests {
    kept: Mutex<VecDeque<Arc<Answered>>>,
    so_far: AtomicU64,
    /// How many are kept with their traces. Zero: the list alone, without traces.
    traces: usize,
}

impl Requests {
    pub(crate) fn new(traces: usize) -> Self {
        Self {
            kept: Mutex::default(),
            so_far: AtomicU64::new(0),
            traces,
        }
    }

    pub(crate) fn are_traced(&self) -> bool {
        self.traces > 0
    }

    pub(super) fn next_id(&self) -> u64 {
        self.so_far.fetch_add(1, Relaxed) + 1
    }

    pub(super) fn add(&self, request: Answered) -> Arc<Answered> {
        let request = Arc::new(request);
        let room = match self.traces {
            0 => LISTED,
            traces => traces,
        };
        let oldest = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push_front(request.clone());
            (kept.len() > room).then(|| kept.pop_back())
        };
        drop(oldest); // with all that it has recorded: not while others wait for the lock
        request
    }

    /// All that are kept.
    pub(crate) fn all(&self) -> Vec<Arc<Answered>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().cloned().collect()
    }

    pub(crate) fn find(&self, id: u64) -> Option<Arc<Answered>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|request| request.id == id).cloned()
    }

    pub(crate) fn recent(&self) -> Vec<ServedRequest> {
        let all = self.all();
        all.iter()
            .take(LISTED)
            .map(|it| ServedRequest::of(it))
            .collect()
    }
}

impl Answered {
    /// Notes the response and what has led to it, and tells the client where to find out more.
    pub(super) fn note(&mut self, response: Response<Body>) -> Response<Body> {
        let mut response = response.map(|body| self.bodies.response.watch(body));
        self.headers = response.headers().clone();
        if let Some(request) = &self.request {
            let (held, sent) = (self.timing.held, request.statements());
            let noted = request.with_recorded(|recorded| {
                let statements = sent + recorded.statements_of_drivers();
                let repeated = repeated(&recorded.events);
                let is_n_plus_1 = |it: &Repeated| it.parameters == Parameters::Differ;
                (
                    Timing::of(held, self.took, statements, recorded),
                    repeated.iter().any(is_n_plus_1),
                )
            });
            (self.timing, self.is_n_plus_1) = noted.unwrap_or((self.timing, false));
        }
        let headers = response.headers_mut();
        headers.append(SERVER_TIMING, self.timing.header(self.id));
        // The app's own, if it has one, is what its logs know.
        headers.entry(REQUEST_ID).or_insert_with(|| self.id.into());
        response
    }

    /// What it has done so far.
    pub(crate) fn recorded(&self) -> Recorded {
        let recorded = self
            .request
            .as_ref()
            .map(|it| it.with_recorded(Recorded::clone));
        recorded.flatten().unwrap_or_default()
    }

    /// Sent until the response began, including BEGIN and COMMIT.
    pub(crate) fn statements(&self) -> u64 {
        let sent = self
            .request
            .as_ref()
            .map_or(0, |request| request.statements());
        self.timing.statements.max(sent)
    }

    pub(crate) fn is_slow(&self) -> bool {
        self.timing.held + self.took >= SLOW
    }

    /// For the bar on its page.
    pub(super) fn rendering(&self) -> Rendering {
        Rendering {
            request: self.id,
            took: self.timing.held + self.took,
            statements: self.statements(),
            is_n_plus_1: self.is_n_plus_1,
        }
    }
}

impl ServedRequest {
    pub(crate) fn of(answered: &Answered) -> Self {
        let at = DateTime::<Local>::from(answered.at);
        Self {
            id: answered.id,
            at: at.format("%H:%M:%S").to_string(),
            method: answered.info.method.to_string(),
            path: answered.info.uri.path().to_owned(),
            status: answered.status.as_u16(),
            ms: (answered.took.as_secs_f64() * 1e5).round() / 1e2,
            generation: answered.generation,
            statements: answered.statements(),
            n_plus_1: answered.is_n_plus_1,
            slow: answered.is_slow(),
            panic: answered.panic.clone(),
            database: answered.database.clone(),
        }
    }
}

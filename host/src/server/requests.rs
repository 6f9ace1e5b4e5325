//! The last requests: what was requested, the outcome, and the number of statements.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use axum::http::{Method, StatusCode, Uri};
use chrono::{DateTime, Local};
use serde::Serialize;

/// As many as anyone looks through.
const MAX_REQUESTS: usize = 50;

/// An answered request in raw form: most are never displayed, so they are formatted only on demand.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) status: StatusCode,
    pub(crate) at: SystemTime,
    pub(crate) took: Duration,
    pub(crate) generation: u64,
    pub(crate) statements: u64,
    pub(crate) panic: Option<String>,
    pub(crate) database: Option<String>,
}

/// The same, formatted for display.
#[derive(Debug, Serialize)]
pub(crate) struct ServedRequest {
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
    /// Message and place, if the handler panicked.
    pub(crate) panic: Option<String>,
    /// Message and place of the last database error, if the response is a 5xx.
    pub(crate) database: Option<String>,
}

/// Newest first.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<VecDeque<Answered>>);

impl Requests {
    pub(crate) fn add(&self, request: Answered) {
        let mut requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        requests.truncate(MAX_REQUESTS - 1);
        requests.push_front(request);
    }

    pub(crate) fn recent(&self) -> Vec<ServedRequest> {
        let requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        requests.iter().map(ServedRequest::of).collect()
    }
}

impl ServedRequest {
    fn of(answered: &Answered) -> Self {
        let at = DateTime::<Local>::from(answered.at);
        Self {
            at: at.format("%H:%M:%S").to_string(),
            method: answered.method.to_string(),
            path: answered.uri.path().to_owned(),
            status: answered.status.as_u16(),
            ms: (answered.took.as_secs_f64() * 1e5).round() / 1e2,
            generation: answered.generation,
            statements: answered.statements,
            panic: answered.panic.clone(),
            database: answered.database.clone(),
        }
    }
}

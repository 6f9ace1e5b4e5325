//! The last requests: what was asked, what came of it, and what it cost the database.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use axum::http::{Method, StatusCode, Uri};
use chrono::{DateTime, Local};
use serde::Serialize;

/// As many as a person looks through.
const KEPT: usize = 50;

/// A request that has its answer, or the beginning of it, as it was. Most are never looked at.
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

/// The same as a person reads it.
#[derive(Debug, Serialize)]
pub(crate) struct ServedRequest {
    /// Local time of the answer.
    pub(crate) at: String,
    pub(crate) method: String,
    /// Without the query, which may hold secrets.
    pub(crate) path: String,
    pub(crate) status: u16,
    /// Until the answer began; a stream may go on.
    pub(crate) ms: f64,
    pub(crate) generation: u64,
    /// Sent until then, those that begin and end transactions included.
    pub(crate) statements: u64,
    /// Message and place, if the handler panicked.
    pub(crate) panic: Option<String>,
    /// The same of the last database error, if the answer is a 5xx.
    pub(crate) database: Option<String>,
}

/// Newest first.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<VecDeque<Answered>>);

impl Requests {
    pub(crate) fn add(&self, request: Answered) {
        let mut requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        requests.truncate(KEPT - 1);
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

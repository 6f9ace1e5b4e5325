//! The last requests: what was asked, what came of it, and what it cost the database.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use serde::Serialize;

/// As many as a person looks through.
const KEPT: usize = 50;

/// A request that has its answer, or the beginning of it.
#[derive(Clone, Debug, Serialize)]
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
}

/// Newest first.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<VecDeque<ServedRequest>>);

impl Requests {
    pub(crate) fn add(&self, request: ServedRequest) {
        let mut requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        requests.truncate(KEPT - 1);
        requests.push_front(request);
    }

    pub(crate) fn recent(&self) -> Vec<ServedRequest> {
        let requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        requests.iter().cloned().collect()
    }
}

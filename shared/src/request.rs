//! Which request a piece of code runs for, so that whoever waits for the connection can be told who has it.
//!
//! Set by the dev host around each request's task; [`Db`](crate::Db) reads it. Code that runs outside of one, such as
//! a task that a handler has spawned, is nobody's, and so is everything in production.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use axum::http::Method;

use crate::db::Failure;

tokio::task_local! {
    static CURRENT: Arc<Request>;
}

/// A request inside a generation, as the generation and the connection's book know it.
#[derive(Debug)]
pub struct Request {
    method: Method,
    path: String,
    generation: u64,
    since: Instant,
    statements: AtomicU64,
    /// Whether it holds a [`Checkout`](crate::db::Checkout): asking again would be waiting for itself.
    holds: AtomicBool,
    /// Boxed: most requests have none.
    failure: Mutex<Option<Box<Failure>>>,
}

impl Request {
    /// A request that has used nothing yet.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use axum::http::Method;
    /// use shared::request::Request;
    ///
    /// let request = Request::new(&Method::GET, "/slow", 7);
    /// let named = request.clone().scope(async { Request::current().unwrap().to_string() }).await;
    /// assert_eq!(named, "GET /slow, generation 7");
    /// # }
    /// ```
    #[must_use]
    pub fn new(method: &Method, path: &str, generation: u64) -> Arc<Self> {
        Arc::new(Self {
            method: method.clone(),
            path: path.to_owned(),
            generation,
            since: Instant::now(),
            statements: AtomicU64::new(0),
            holds: AtomicBool::new(false),
            failure: Mutex::default(),
        })
    }

    /// Runs `work` as part of this request. What it spawns is not.
    pub fn scope<F: Future>(self: Arc<Self>, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }

    /// The request that the calling task runs for.
    #[must_use]
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Clone::clone).ok()
    }

    pub(crate) fn current_if_it_holds() -> Option<Arc<Self>> {
        let holding = CURRENT.try_with(|request| request.holds().then(|| request.clone()));
        holding.ok().flatten()
    }

    /// The verb.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Without the query, which may hold secrets.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// How long it has been inside.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Statements it has sent so far, those of transactions included.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.load(Relaxed)
    }

    /// How its last failed use of the database failed.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_deref().cloned()
    }

    pub(crate) fn note_failure(&self, failure: Failure) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(failure));
    }

    pub(crate) fn count_statement() {
        let counted = CURRENT.try_with(|request| {
            request.statements.fetch_add(1, Relaxed);
        });
        counted.unwrap_or(()); // nobody's
    }

    pub(crate) fn set_holds(&self, holds: bool) {
        self.holds.store(holds, Relaxed);
    }

    fn holds(&self) -> bool {
        self.holds.load(Relaxed)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            method,
            path,
            generation,
            ..
        } = self;
        write!(f, "{method} {path}, generation {generation}")
    }
}

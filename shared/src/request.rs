//! Which request a piece of code runs for, so that whoever waits for the connection can be told who has it.
//!
//! Set by the dev host around each request's task; [`Db`](crate::Db) reads it. Code that runs outside of one, such as
//! a task that a handler has spawned, is nobody's, and so is everything in production.
//! Also knows what the outside must know to deal with a request that does not end: whether its code is running at this
//! moment, and that it is to be cut off.

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use axum::http::Method;
use tokio::sync::Notify;

use crate::db::Failure;

tokio::task_local! {
    static CURRENT: Arc<Request>;
}

/// A request inside a generation, as the generation and the connection's book know it.
#[derive(Debug)]
pub struct Request {
    /// `None`: this is the app's start.
    method: Option<Method>,
    path: String,
    generation: u64,
    since: Instant,
    statements: AtomicU64,
    /// Whether it holds a [`Checkout`](crate::db::Checkout): asking again would be waiting for itself.
    holds: AtomicBool,
    /// Boxed: most requests have none.
    failure: Mutex<Option<Box<Failure>>>,
    /// While its code runs on a thread: since when, in milliseconds after `since`, plus one. Zero while it awaits.
    entered: AtomicU64,
    /// The function that handles it, if it was routed by `shared::routing`.
    handler: OnceLock<&'static str>,
    /// Why nobody waits for it any more.
    cut_off: OnceLock<String>,
    /// Rings when that is set.
    cut: Notify,
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
        Self::of(Some(method.clone()), path.to_owned(), generation)
    }

    /// The start of a generation, which may use the database as a request does.
    #[must_use]
    pub fn starting(generation: u64) -> Arc<Self> {
        Self::of(None, "app()".to_owned(), generation)
    }

    fn of(method: Option<Method>, path: String, generation: u64) -> Arc<Self> {
        Arc::new(Self {
            method,
            path,
            generation,
            since: Instant::now(),
            statements: AtomicU64::new(0),
            holds: AtomicBool::new(false),
            failure: Mutex::default(),
            entered: AtomicU64::new(0),
            handler: OnceLock::new(),
            cut_off: OnceLock::new(),
            cut: Notify::new(),
        })
    }

    /// Runs `work` as part of this request. What it spawns is not.
    pub async fn scope<F: Future>(self: Arc<Self>, work: F) -> F::Output {
        let request = self.clone();
        let mut work = pin!(CURRENT.scope(self, work));
        std::future::poll_fn(|cx| {
            let _inside = Inside::enter(&request);
            work.as_mut().poll(cx)
        })
        .await
    }

    /// For how long its code has been running without coming to an await; `None` while it awaits.
    #[must_use]
    pub fn runs_for(&self) -> Option<Duration> {
        let entered = self.entered.load(Relaxed).checked_sub(1)?;
        Some(self.age().saturating_sub(Duration::from_millis(entered)))
    }

    /// Nobody waits for this request any more. The first reason counts.
    pub fn cut_off(&self, reason: impl FnOnce() -> String) {
        self.cut_off.get_or_init(reason);
        self.cut.notify_waiters();
    }

    /// Waits until nobody waits for this request any more, and returns why.
    pub async fn until_cut_off(self: Arc<Self>) -> String {
        loop {
            // Registered before the look, so that a reason that comes in between is not missed.
            let cut = self.cut.notified();
            if let Some(reason) = self.cut_off.get() {
                return reason.clone();
            }
            cut.await;
        }
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

    /// Verb and path, without the query, which may hold secrets.
    #[must_use]
    pub fn asks(&self) -> String {
        match &self.method {
            Some(method) => format!("{method} {}", self.path),
            None => self.path.clone(),
        }
    }

    /// In which it runs.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
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

    /// The path of the function that handles it, if it was routed by [`routing`](crate::routing).
    #[must_use]
    pub fn handler(&self) -> Option<&'static str> {
        self.handler.get().copied()
    }

    pub(crate) fn reaches(handler: &'static str) {
        let noted = CURRENT.try_with(|request| {
            request.handler.get_or_init(|| handler);
        });
        noted.unwrap_or(()); // nobody's
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
        write!(f, "{}, generation {}", self.asks(), self.generation)
    }
}

/// The request's code runs on this thread, until dropped.
struct Inside<'a>(&'a Request);

impl<'a> Inside<'a> {
    fn enter(request: &'a Request) -> Self {
        let now = u64::try_from(request.age().as_millis()).unwrap_or(u64::MAX - 1);
        request.entered.store(now + 1, Relaxed);
        Self(request)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.entered.store(0, Relaxed);
    }
}

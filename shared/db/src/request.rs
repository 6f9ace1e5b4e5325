//! The request that a piece of code runs for, so that an error about waiting for the connection can name the holder.
//!
//! Set by the dev host around each request's task; [`Db`](crate::Db) reads it. Code outside of one, such as a task that
//! a handler has spawned, has no request, and neither has anything in production. Also tracks what the host needs to
//! deal with a request that does not end: whether its code is running right now, and whether it was cut off.

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{
    failure::Failure,
    trace::{Event, Recorded, Trace, What},
};

tokio::task_local! {
    static CURRENT: Arc<Request>;
}

/// A request in a generation, as seen by the generation and the database's usage tracker.
#[derive(Debug)]
pub struct Request {
    origin: Origin,
    /// See [`number`](Self::number).
    number: Option<u64>,
    /// Zero for the host's own work.
    generation: u64,
    since: Instant,
    statements: AtomicU64,
    /// Whether it holds a [`Checkout`](crate::Checkout): asking for the connection again would deadlock.
    holds_checkout: AtomicBool,
    /// Boxed, since most requests have none.
    failure: Mutex<Option<Box<Failure>>>,
    /// What it does, if the dev server wants to know.
    trace: Option<Trace>,
    /// When the current poll began, in milliseconds after `since`, plus one. Zero while it awaits.
    poll_began: AtomicU64,
    /// The function that handles it, if it was routed by `shared::routing`.
    handler: OnceLock<&'static str>,
    /// Why it was cut off, if it was.
    cut_off: OnceLock<String>,
    /// Notified when `cut_off` is set.
    cut_off_notify: Notify,
}

/// For whom the code runs.
#[derive(Debug)]
enum Origin {
    /// Its verb and path, without the query, which may hold secrets.
    Client(String),
    /// The app's start.
    Start,
    /// The host itself, and what it does.
    Host(&'static str),
}

impl Request {
    /// A new request. `number` is the one under which the dev server shows it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use shared_db::request::Request;
    ///
    /// let request = Request::new("GET", "/slow", 7, 42);
    /// let named = request.clone().scope(async { Request::current().unwrap().to_string() }).await;
    /// assert_eq!(named, "GET /slow, generation 7");
    /// # }
    /// ```
    #[must_use]
    pub fn new(method: &str, path: &str, generation: u64, number: u64) -> Arc<Self> {
        let origin = Origin::Client(format!("{method} {path}"));
        Self::of(origin, generation, Some(number))
    }

    /// The start of a generation, which may use the database like a request.
    #[must_use]
    pub fn starting(generation: u64) -> Arc<Self> {
        Self::of(Origin::Start, generation, None)
    }

    /// Work of the host itself, which uses the database like a request. An error that names it as the holder says
    /// `what` it does: a line of the host's source would tell an author of the app nothing.
    #[must_use]
    pub fn of_the_host(what: &'static str) -> Arc<Self> {
        Self::of(Origin::Host(what), 0, None)
    }

    fn of(origin: Origin, generation: u64, number: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            number,
            generation,
            since: Instant::now(),
            statements: AtomicU64::new(0),
            holds_checkout: AtomicBool::new(false),
            failure: Mutex::default(),
            trace: match origin {
                Origin::Client(_) => Trace::begin(),
                _ => None,
            },
            poll_began: AtomicU64::new(0),
            handler: OnceLock::new(),
            cut_off: OnceLock::new(),
            cut_off_notify: Notify::new(),
            origin,
        })
    }

    /// Runs `work` as part of this request. Tasks that it spawns are not part of it.
    pub async fn scope<F: Future>(self: Arc<Self>, work: F) -> F::Output {
        let request = self.clone();
        let mut work = pin!(CURRENT.scope(self, work));
        std::future::poll_fn(|cx| {
            let _guard = PollGuard::enter(&request);
            work.as_mut().poll(cx)
        })
        .await
    }

    /// How long the current poll has been running without reaching an await; `None` while it awaits.
    #[must_use]
    pub fn runs_for(&self) -> Option<Duration> {
        let poll_began = self.poll_began.load(Relaxed).checked_sub(1)?;
        Some(self.age().saturating_sub(Duration::from_millis(poll_began)))
    }

    /// Gives up on this request: its client gets `reason`. Only the first call counts.
    pub fn cut_off(&self, reason: impl FnOnce() -> String) {
        self.cut_off.get_or_init(reason);
        self.cut_off_notify.notify_waiters();
    }

    /// Waits until the request is cut off, and returns why.
    pub async fn until_cut_off(self: Arc<Self>) -> String {
        loop {
            // Register before checking, so that a reason set in between is not missed.
            let notified = self.cut_off_notify.notified();
            if let Some(reason) = self.cut_off.get() {
                return reason.clone();
            }
            notified.await;
        }
    }

    /// The request that the calling task runs for.
    #[must_use]
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Clone::clone).ok()
    }

    pub(crate) fn current_with_checkout() -> Option<Arc<Self>> {
        let holding = CURRENT.try_with(|request| request.holds_checkout().then(|| request.clone()));
        holding.ok().flatten()
    }

    /// Verb and path, without the query, which may hold secrets.
    #[must_use]
    pub fn method_and_path(&self) -> String {
        match &self.origin {
            Origin::Client(named) => named.clone(),
            Origin::Start => "app()".to_owned(),
            Origin::Host(what) => format!("the host ({what})"),
        }
    }

    /// Whether a client waits for its answer.
    pub(crate) fn is_of_a_client(&self) -> bool {
        matches!(self.origin, Origin::Client(_))
    }

    pub(crate) fn is_of_the_host(&self) -> bool {
        matches!(self.origin, Origin::Host(_))
    }

    /// The generation in which it runs.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The one under which the dev server shows it. `None`: no client has sent it.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        self.number
    }

    /// How long ago it began.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Statements it has sent so far, those of transactions included.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.load(Relaxed)
    }

    /// Its most recent database failure.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_deref().cloned()
    }

    pub(crate) fn record_failure(&self, failure: Failure) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(failure));
    }

    /// Whether it records what it does.
    #[must_use]
    pub fn is_traced(&self) -> bool {
        self.trace.is_some()
    }

    /// Reads what it has done so far. `None` if it does not record that.
    pub fn with_recorded<R>(&self, read: impl FnOnce(&Recorded) -> R) -> Option<R> {
        self.trace.as_ref().map(|trace| trace.read(read))
    }

    /// Records what it has done since then, if it records that.
    pub fn record(&self, since: Instant, what: What) {
        self.record_until(since, Instant::now(), what);
    }

    /// The same for what has ended before now.
    pub fn record_until(&self, since: Instant, until: Instant, what: What) {
        if let Some(trace) = &self.trace {
            trace.record(Event {
                from: since.saturating_duration_since(self.since),
                took: until.saturating_duration_since(since),
                what,
            });
        }
    }

    /// The path of the function that handles it, if it was routed by `shared::routing`.
    #[must_use]
    pub fn handler(&self) -> Option<&'static str> {
        self.handler.get().copied()
    }

    /// Notes the function that handles the current request.
    pub fn set_handler(handler: &'static str) {
        let noted = CURRENT.try_with(|request| {
            request.handler.get_or_init(|| handler);
        });
        noted.unwrap_or(()); // outside a request
    }

    pub(crate) fn count_statement() {
        let counted = CURRENT.try_with(|request| {
            request.statements.fetch_add(1, Relaxed);
        });
        counted.unwrap_or(()); // outside a request
    }

    pub(crate) fn set_holds_checkout(&self, holds: bool) {
        self.holds_checkout.store(holds, Relaxed);
    }

    fn holds_checkout(&self) -> bool {
        self.holds_checkout.load(Relaxed)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.method_and_path())?;
        match self.origin {
            Origin::Host(_) => Ok(()),
            _ => write!(f, ", generation {}", self.generation),
        }
    }
}

/// The request's code is being polled until this is dropped.
struct PollGuard<'a>(&'a Request);

impl<'a> PollGuard<'a> {
    fn enter(request: &'a Request) -> Self {
        let now = u64::try_from(request.age().as_millis()).unwrap_or(u64::MAX - 1);
        request.poll_began.store(now + 1, Relaxed);
        Self(request)
    }
}

impl Drop for PollGuard<'_> {
    fn drop(&mut self) {
        self.0.poll_began.store(0, Relaxed);
    }
}

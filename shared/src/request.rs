//! Which request a piece of code runs for, so that whoever waits for the connection can be told who has it.
//!
//! Set by the dev host around each request's task; [`Db`](crate::Db) reads it. Code that runs outside of one, such as
//! a task that a handler has spawned, is nobody's, and so is everything in production.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

tokio::task_local! {
    static CURRENT: Arc<Request>;
}

/// A request as the connection's book knows it.
#[derive(Debug)]
pub struct Request {
    method: String,
    path: String,
    generation: u64,
    statements: AtomicU64,
    /// Whether it holds a [`Checkout`](crate::db::Checkout): asking again would be waiting for itself.
    holds: AtomicBool,
}

impl Request {
    /// A request that has used nothing yet.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use shared::request::Request;
    ///
    /// let request = Request::new("GET", "/slow", 7);
    /// let named = request.clone().scope(async { Request::current().unwrap().to_string() }).await;
    /// assert_eq!(named, "GET /slow, generation 7");
    /// # }
    /// ```
    #[must_use]
    pub fn new(method: &str, path: &str, generation: u64) -> Arc<Self> {
        Arc::new(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            generation,
            statements: AtomicU64::new(0),
            holds: AtomicBool::new(false),
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

    /// Statements it has sent so far, those of transactions included.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.load(Relaxed)
    }

    pub(crate) fn count_statement() {
        if let Some(request) = Self::current() {
            request.statements.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn set_holds(&self, holds: bool) {
        self.holds.store(holds, Relaxed);
    }

    pub(crate) fn holds(&self) -> bool {
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

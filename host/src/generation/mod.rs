//! A generation: one loaded build of the app, its router, and its own runtime. Requests and reloads meet here.
//!
//! The request side takes a [`Lease`] on the active generation. The reload side starts a generation, makes it active
//! ([`Generations::swap`]), and drains and retires the previous one. The invariant between them: a closed generation
//! gives out no more leases, so once it has none left it never has any again, and its runtime can end.

mod active;
mod snapshot;
mod threads;

pub(crate) use active::{Absence, Generations};
use snapshot::RetiredGeneration;
pub(crate) use snapshot::{Snapshot, Stage};
pub(crate) use threads::Threads;

use std::{
    cmp::Reverse,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use axum::{Router, http::Method};
use nix::sys::prctl;
use shared::request::Request;
use slab::Slab;
use tokio::{
    runtime::{Handle, Runtime},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

/// One loaded build of the app.
pub(crate) struct Generation {
    id: u64,
    /// Where its code runs: its own runtime, or the host's with `--isolation off`. May outlive the runtime, since
    /// leases spawn with it; spawning then only yields errors.
    handle: Handle,
    /// Tells the app to end its streams. Cancelled when draining starts.
    shutdown: CancellationToken,
    inside: Mutex<Inside>,
    /// Notified when the last lease ends.
    idle: Notify,
    served: AtomicU64,
    since: Instant,
}

struct Inside {
    stage: Stage,
    /// Taken when leasing closes. Dropped on `runtime`, since destructors in the app may need it.
    router: Option<Router>,
    /// Taken last, and shut down on a thread that may block.
    runtime: OwnRuntime,
    leases: Slab<Arc<Request>>,
}

/// A runtime that may be dropped anywhere. tokio's own panics if dropped in async code. Does not wait for its threads.
pub(crate) struct OwnRuntime(pub(crate) Option<Runtime>);

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A request that runs for longer than this is listed by name.
const LATE: Duration = Duration::from_secs(1);

/// The name of the runtime's threads in logs, debuggers and `/proc`.
pub(crate) fn thread_name(id: u64) -> String {
    format!("{THREAD_NAME}{id}")
}

const THREAD_NAME: &str = "gen-";

/// The generation that the calling thread belongs to, if it is known. Threads that the app starts without a name have
/// that of the one that started them.
pub(crate) fn of_this_thread() -> Option<u64> {
    let name = prctl::get_name().ok()?;
    name.to_str().ok()?.strip_prefix(THREAD_NAME)?.parse().ok()
}

impl Generation {
    /// From a started app: the router it returned, the handle of the runtime it ran on, and its own runtime if it has
    /// one.
    pub(crate) fn new(
        id: u64,
        router: Router,
        handle: Handle,
        runtime: OwnRuntime,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            handle,
            shutdown,
            inside: Mutex::new(Inside {
                stage: Stage::Active,
                router: Some(router),
                runtime,
                leases: Slab::new(),
            }),
            idle: Notify::new(),
            served: AtomicU64::new(0),
            since: Instant::now(),
        })
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Requests that have entered so far.
    pub(crate) fn served(&self) -> u64 {
        self.served.load(Relaxed)
    }

    /// A lease and the router to use it on; `None` once leasing is closed.
    fn lease(
        self: &Arc<Self>,
        method: &Method,
        path: &str,
        number: u64,
    ) -> Option<(Lease, Router)> {
        let mut inside = self.inside();
        let router = inside.router.clone()?;
        let request = Request::new(method.as_str(), path, self.id, number);
        let key = inside.leases.insert(request.clone());
        self.served.fetch_add(1, Relaxed);
        let lease = Lease {
            generation: self.clone(),
            request,
            key,
        };
        Some((lease, router))
    }

    /// Gives out no more leases. Existing ones last as long as their requests.
    fn close(&self) {
        let router = {
            let mut inside = self.inside();
            inside.stage = Stage::Draining;
            inside.router.take()
        };
        if let Some(router) = router {
            self.handle.spawn(async move { drop(router) });
        }
    }

    /// Closes leasing if a swap has not done so, tells the app to end its streams, and waits until the last lease has
    /// ended. At the deadline the remaining requests are cut off and returned by name.
    pub(crate) async fn drain(&self, limit: Duration) -> Vec<String> {
        self.close();
        self.shutdown.cancel();
        let drained = async {
            loop {
                // Register before checking, so that a lease that ends in between is not missed.
                let idle = self.idle.notified();
                if self.inside().leases.is_empty() {
                    return;
                }
                idle.await;
            }
        };
        match tokio::time::timeout(limit, drained).await {
            Ok(()) => Vec::new(),
            Err(_) => self.cut_off(),
        }
    }

    /// Stops waiting for the app: the host answers the remaining requests itself. Returns their names.
    pub(crate) fn cut_off(&self) -> Vec<String> {
        let inside = self.inside();
        for (_, request) in &inside.leases {
            request.cut_off(|| {
                format!(
                    "generation {} was replaced before this request finished",
                    self.id
                )
            });
        }
        inside.late(Duration::ZERO)
    }

    /// Requests whose code has been running for `limit` without yielding at an await.
    fn not_yielding(&self, limit: Duration) -> Vec<Arc<Request>> {
        let inside = self.inside();
        let requests = inside.leases.iter().map(|(_, request)| request);
        requests
            .filter(|request| request.runs_for().is_some_and(|runs| runs >= limit))
            .cloned()
            .collect()
    }

    /// Whether nothing of the app runs or can start to by itself: no request, no task, and no thread besides the
    /// runtime's own. Without a runtime of its own its tasks cannot be told from the host's, so it never rests.
    fn rests(&self) -> bool {
        let runtime = self.handle.metrics();
        self.inside().leases.is_empty()
            && runtime.num_alive_tasks() == 0
            // Threads without a name have that of the one that started them.
            && Threads::named(&thread_name(self.id)).count() <= runtime.num_workers()
    }

    /// Tells the app to end its streams because the process is about to end. Requests may still come in.
    pub(crate) fn end_streams(&self) {
        self.shutdown.cancel();
    }

    /// Shuts the runtime down: drops every task at its next await and joins the threads. Blocks for up to `limit`.
    pub(crate) fn shut_down(&self, limit: Duration) {
        let runtime = self.inside().runtime.0.take();
        if let Some(runtime) = runtime {
            runtime.shutdown_timeout(limit);
        }
        self.inside().stage = Stage::Retired;
    }

    fn summary(&self) -> RetiredGeneration {
        RetiredGeneration {
            id: self.id,
            served: self.served(),
            since: self.since,
        }
    }

    fn snapshot(&self) -> Snapshot {
        let inside = self.inside();
        Snapshot {
            id: self.id,
            state: inside.stage,
            in_flight: inside.leases.len(),
            served: self.served(),
            age_s: self.since.elapsed().as_secs_f64(),
            late: inside.late(LATE),
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // No code under this lock can leave it half-changed, and a panic must not fail every later request.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// Requests that have been running for longer than `limit`, by name, oldest first.
    fn late(&self, limit: Duration) -> Vec<String> {
        let mut late: Vec<_> = (self.leases.iter())
            .map(|(_, request)| (request.age(), request))
            .filter(|(age, _)| *age > limit)
            .collect();
        late.sort_by_key(|(age, _)| Reverse(*age));
        let name = |(age, request): &(Duration, &Arc<Request>)| {
            format!("{} ({:.1} s)", request.method_and_path(), age.as_secs_f32())
        };
        late.iter().map(name).collect()
    }
}

/// Keeps a generation alive for one request. Released on drop.
pub(crate) struct Lease {
    generation: Arc<Generation>,
    request: Arc<Request>,
    key: usize,
}

impl Lease {
    /// The runtime to run the request on.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.generation.handle
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.id
    }

    /// The request that holds it.
    pub(crate) fn request(&self) -> &Arc<Request> {
        &self.request
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut inside = self.generation.inside();
        inside.leases.remove(self.key);
        if inside.leases.is_empty() {
            self.generation.idle.notify_waiters();
        }
    }
}

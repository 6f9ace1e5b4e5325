//! A generation: one loaded build of the app, its router, and a runtime of its own. Where the two streets meet.
//!
//! The request side takes a [`Lease`] on the active generation. The reload side starts a generation, makes it active
//! ([`Generations::swap`]) and lets the one before drain and retire. The rule between them: a generation whose leasing
//! has been closed never gets another lease, so "no leases left" is final, and only then does its runtime end.

mod active;
mod snapshot;

pub(crate) use active::{Absence, Generations};
use snapshot::RetiredGeneration;
pub(crate) use snapshot::{Snapshot, Stage};

use std::{
    cmp::Reverse,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use axum::{Router, http::Method};
use shared::request::Request;
use slab::Slab;
use tokio::{
    runtime::{Handle, Runtime},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

/// One load of the app.
pub(crate) struct Generation {
    id: u64,
    /// Where its code runs: `runtime`, or the host's under `--isolation off`. Lives longer: a lease spawns with it, and after the end of the runtime it only yields errors.
    handle: Handle,
    /// The app's signal to end its streams. Cancelled first when draining starts.
    shutdown: CancellationToken,
    inside: Mutex<Inside>,
    /// Rings when the last lease ends.
    idle: Notify,
    served: AtomicU64,
    since: Instant,
}

struct Inside {
    stage: Stage,
    /// Taken when leasing closes. Dropped on `runtime`, where the app's values may expect to be.
    router: Option<Router>,
    /// Taken last, to be shut down on a thread that may block.
    runtime: OwnRuntime,
    leases: Slab<Arc<Request>>,
}

/// A runtime that may be dropped anywhere: tokio's own panics where async code runs. Its threads are not waited for.
pub(crate) struct OwnRuntime(pub(crate) Option<Runtime>);

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A request inside for longer than this is worth a name.
const LATE: Duration = Duration::from_secs(1);

/// Threads of a generation's runtime carry this name, in logs, debuggers and `/proc`.
pub(crate) fn thread_name(id: u64) -> String {
    format!("gen-{id}")
}

impl Generation {
    /// Of a started app: the router it returned, where it was built, and the runtime of its own if it has one.
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
    fn lease(self: &Arc<Self>, method: &Method, path: &str) -> Option<(Lease, Router)> {
        let mut inside = self.inside();
        let router = inside.router.clone()?;
        let request = Request::new(method, path, self.id);
        let key = inside.leases.insert(request.clone());
        self.served.fetch_add(1, Relaxed);
        let lease = Lease {
            generation: self.clone(),
            request,
            key,
        };
        Some((lease, router))
    }

    /// From here on it gives no lease. Those it gave last as long as their requests.
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

    /// Closes leasing if no swap has, tells the app to end its streams, and waits until the last lease has ended.
    ///
    /// Returns those that had not at the deadline, by name.
    pub(crate) async fn drain(&self, limit: Duration) -> Vec<String> {
        self.close();
        self.shutdown.cancel();
        let drained = async {
            loop {
                // Registered before the look: a lease that ends in between must not be missed.
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

    /// Has the requests inside answered in the app's stead: nobody waits for its code any more. Returns their names.
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

    /// Requests whose code has been running for `limit` without coming to an await.
    fn not_yielding(&self, limit: Duration) -> Vec<Arc<Request>> {
        let inside = self.inside();
        let requests = inside.leases.iter().map(|(_, request)| request);
        requests
            .filter(|request| request.runs_for().is_some_and(|runs| runs >= limit))
            .cloned()
            .collect()
    }

    /// Asks the app to end its streams, while requests may still come in: the process is about to end.
    pub(crate) fn end_streams(&self) {
        self.shutdown.cancel();
    }

    /// Ends the runtime: every task is dropped at its next await, threads are joined. Blocks up to `limit`.
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
        // Nothing under this lock can leave it half-way; a panic elsewhere must not take every request down.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// Requests that have been inside for longer than `limit`, by name, oldest first.
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

/// Proof that a request is inside a generation, which ends after it. Released on drop.
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

    /// The request it was given for.
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

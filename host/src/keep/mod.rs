//! Where the app's kept values live: a runtime that no generation's end ends, and the decision which types may.
//!
//! Not the host's runtime: code of the app that makes a value may block, and must not delay the host.

// Which crates all generations share, according to cargo.
mod crates;

// Whether a type is made of theirs.
mod fit;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::BoxFuture};
use shared::keep::{Keeper, Kept};
use tokio::runtime::{Builder, Handle};

use crate::{config::Project, generation::OwnRuntime};
use crates::Crates;

/// How long destructors and tasks of values may go on at the end.
const END_LIMIT: Duration = Duration::from_secs(1);

/// The values and their runtime.
pub(crate) struct Keeping {
    pub(crate) kept: Kept,
    runtime: Arc<LazyRuntime>,
}

impl Keeping {
    /// No values yet.
    pub(crate) fn new(project: &Project) -> Self {
        let runtime = Arc::<LazyRuntime>::default();
        let kept = Kept::new(DevKeeper {
            runtime: runtime.clone(),
            crates: Crates::new(project.clone()),
        });
        Self { kept, runtime }
    }

    /// Drops all values, and ends what they run. No generation may ask for one any more.
    pub(crate) async fn end(&self) {
        for value in self.kept.list() {
            self.kept.forget(&value.name);
        }
        let before = std::mem::replace(&mut *self.runtime.state(), State::Ended);
        let State::Running(mut own) = before else {
            return;
        };
        let Some(runtime) = own.0.take() else {
            return;
        };
        let since = Instant::now();
        // tokio panics if a runtime is dropped in async code, and joining its threads blocks.
        let ended = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(END_LIMIT)).await;
        if let Err(error) = ended {
            tracing::error!("ending what kept values run: {error}");
        } else if since.elapsed() >= END_LIMIT {
            let limit = END_LIMIT.as_secs();
            tracing::warn!("a task or destructor of a kept value did not end within {limit} s");
        }
    }
}

/// Made for the first value: most apps keep none.
#[derive(Default)]
struct LazyRuntime(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Unused,
    Running(OwnRuntime),
    Ended,
}

impl LazyRuntime {
    fn handle(&self) -> io::Result<Handle> {
        let mut state = self.state();
        if let State::Unused = *state {
            let runtime = Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .thread_name("kept")
                .build()?;
            *state = State::Running(OwnRuntime(Some(runtime)));
        }
        match &*state {
            State::Running(OwnRuntime(Some(runtime))) => Ok(runtime.handle().clone()),
            _ => Err(io::Error::other("the host is ending")),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct DevKeeper {
    runtime: Arc<LazyRuntime>,
    crates: Crates,
}

impl Keeper for DevKeeper {
    fn runtime(&self) -> io::Result<Handle> {
        self.runtime.handle()
    }

    fn refuses(&self, type_name: &'static str) -> BoxFuture<'_, Option<String>> {
        async move {
            match self.crates.now().await {
                Ok(crates) => fit::unfit(type_name, &crates),
                Err(error) => Some(format!(
                    "it is not known which crates all generations share: {error}"
                )),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_runtime_may_be_dropped_in_async_code_as_when_the_host_ends_at_once() {
        let runtime = LazyRuntime::default();
        let task = runtime.handle().expect("threads").spawn(async { 7 });
        assert_eq!(task.await.expect("it runs"), 7);
        drop(runtime);
    }
}

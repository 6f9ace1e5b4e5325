//! Retires a generation: drains its requests, then shuts its runtime down, and with it everything the app opened.
//!
//! Runs in the background: a request that takes ten seconds must not delay the next save. Requests that were cut off
//! and threads that did not end are reported.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    events::Retired,
    generation::{Generation, Generations, Threads, thread_name},
};

/// How long to wait for threads that run app code without an await.
const JOIN_LIMIT: Duration = Duration::from_secs(2);

/// Waits for the generation's requests for at most `drain`, then shuts its runtime down. Afterwards `generations` only
/// keeps a summary of it.
pub(crate) async fn retire(
    generations: &Generations,
    generation: Arc<Generation>,
    drain: Duration,
) -> Retired {
    let since = Instant::now();
    let late = generation.drain(drain).await;
    let name = thread_name(generation.id());
    let before = Threads::named(&name);
    let ending = generation.clone();
    // tokio panics if a runtime is dropped in async code, and joining its threads blocks.
    let joined = tokio::task::spawn_blocking(move || ending.shut_down(JOIN_LIMIT)).await;
    if let Err(error) = joined {
        tracing::error!("ending generation {}: {error}", generation.id());
    }
    generations.forget(&generation);
    let stuck = Threads::named(&name);
    Retired {
        id: generation.id(),
        served: generation.served(),
        took: since.elapsed(),
        late,
        stuck_threads: stuck.count(),
        cpu_percent: stuck.percent_since(&before),
    }
}

//! Ends a generation: drain, then its runtime, and with it everything the app opened.
//!
//! Never on the path of a reload: a request that takes ten seconds must not hold up the next save. What it may not do
//! is forget: late requests and threads that did not end are named.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Serialize, Serializer};

use crate::{
    generation::{Generation, Generations, thread_name},
    threads::Threads,
};

/// How long the runtime's threads may take to come out of app code that does not await.
const JOIN_LIMIT: Duration = Duration::from_secs(2);

/// How a generation ended.
#[derive(Debug, Serialize)]
pub(crate) struct Retired {
    pub(crate) id: u64,
    pub(crate) served: u64,
    #[serde(rename = "took_ms", serialize_with = "in_ms")]
    pub(crate) took: Duration,
    /// Requests that were cut off at the deadline.
    pub(crate) late: Vec<String>,
    /// Threads still inside app code.
    pub(crate) stuck_threads: usize,
    /// What they use, in percent of one processor.
    pub(crate) cpu_percent: u32,
}

fn in_ms<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((took.as_secs_f64() * 1e6).round() / 1e3)
}

/// Waits for the generation's requests, at most `drain`, then ends its runtime. `generations` only remembers it then.
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
    // A runtime must not be dropped where async code runs, and joining its threads blocks.
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

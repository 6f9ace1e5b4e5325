//! Names requests whose code runs for long without an await. Meanwhile its thread serves no other request, and once all
//! threads of a generation are busy that way the app hangs without any error.

use std::{sync::Arc, time::Duration};

use shared::request::Request;

use crate::{
    events::{Event, Events},
    generation::{Generations, Threads, thread_name},
};

/// How long code may run without an await before it is named.
const LIMIT: Duration = Duration::from_secs(2);
/// How often to check.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Runs until the host ends and aborts it.
pub(crate) async fn watch(generations: Arc<Generations>, events: Events) {
    let mut named: Vec<Arc<Request>> = Vec::new();
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        let burning = generations.not_yielding(LIMIT);
        let is_among = |all: &[Arc<Request>], one: &Arc<Request>| {
            all.iter().any(|each| Arc::ptr_eq(each, one))
        };
        named.retain(|request| burning.iter().any(|(each, _)| Arc::ptr_eq(each, request)));
        for (request, threads) in &burning {
            if is_among(&named, request) {
                continue;
            }
            named.push(request.clone());
            let id = request.generation();
            let before = Threads::named(&thread_name(id));
            tokio::time::sleep(CHECK_INTERVAL / 2).await;
            let percent = Threads::named(&thread_name(id)).percent_since(&before);
            let taken = burning
                .iter()
                .filter(|(each, _)| each.generation() == id)
                .count();
            events.emit(Event::NotYielding {
                generation: id,
                request: request.method_and_path().to_string(),
                handler: request.handler().map(|path| path.to_string()),
                since: request.runs_for().unwrap_or(LIMIT),
                taken,
                threads: *threads,
                cpu_percent: percent,
            });
        }
    }
}

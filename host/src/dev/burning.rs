//! Names requests whose code runs for long without an await. Meanwhile its thread serves no other request, and once all
//! threads of a generation are busy that way the app hangs without any error.

use std::{sync::Arc, time::Duration};

use shared::request::Request;

use super::terminal::line;
use crate::{
    generation::{Generations, thread_name},
    threads::Threads,
};

/// How long code may run without an await before it is named.
const LIMIT: Duration = Duration::from_secs(2);
/// How often to check.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Runs until the host ends and aborts it.
pub(super) async fn watch(generations: Arc<Generations>) {
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
            let rest = if taken >= *threads {
                "other requests of this generation wait until one of them is done"
            } else {
                "await in its loop, or move it to tokio::task::spawn_blocking"
            };
            let handler = request.handler();
            let handler = handler.map_or_else(String::new, |path| format!(" ({path})"));
            line(format_args!(
                "gen {id}: {}{handler} runs without an await for {:.1} s and takes {taken} of {threads} threads ({percent} % CPU): {rest}",
                request.method_and_path(),
                request.runs_for().unwrap_or(LIMIT).as_secs_f32(),
            ));
        }
    }
}

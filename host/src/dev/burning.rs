//! Names requests whose code runs and runs without coming to an await. While it does, its thread serves nobody else, and
//! when all threads of a generation are so taken the app is silent and no error says why.

use std::{sync::Arc, time::Duration};

use shared::request::Request;

use super::terminal::line;
use crate::{
    generation::{Generations, thread_name},
    threads::Threads,
};

/// How long code may run without an await before it is named.
const LIMIT: Duration = Duration::from_secs(2);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(500);

/// Looks until the host ends. Aborted with it.
pub(super) async fn watch(generations: Arc<Generations>) {
    let mut named: Vec<Arc<Request>> = Vec::new();
    loop {
        tokio::time::sleep(LOOK).await;
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
            tokio::time::sleep(LOOK / 2).await;
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

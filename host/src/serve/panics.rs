//! Remembers where a task panicked, for whoever awaits it.
//!
//! The panic hook knows the place and not the request; the awaiting side knows the request and not the place. The id
//! of the task joins them. App and host share one std, so this one hook sees the panics of every generation.

use std::{
    backtrace::Backtrace,
    collections::VecDeque,
    panic::PanicHookInfo,
    sync::{Mutex, PoisonError},
};

use tokio::task::{Id, JoinError};

/// A panic, as text: the payload is the app's object and is let go at once.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) message: String,
    pub(crate) location: String,
}

/// The latest panics. Bounded: a task that nobody awaits leaves its report behind.
static REPORTS: Mutex<VecDeque<(Id, Report)>> = Mutex::new(VecDeque::new());
const KEPT: usize = 64;

/// Logs every panic with place and thread, which names the generation, and remembers those of tasks.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(record));
}

fn record(info: &PanicHookInfo<'_>) {
    let message = info
        .payload_as_str()
        .unwrap_or("(a panic without a message)")
        .to_owned();
    let location = info
        .location()
        .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let thread = std::thread::current();
    tracing::error!(
        "panic at {location} on {}: {message}",
        thread.name().unwrap_or("a thread")
    );
    tracing::debug!("{}", Backtrace::capture());
    if let Some(task) = tokio::task::try_id() {
        let mut reports = REPORTS.lock().unwrap_or_else(PoisonError::into_inner);
        if reports.len() == KEPT {
            reports.pop_front();
        }
        reports.push_back((task, Report { message, location }));
    }
}

/// What the task of this error said when it panicked.
pub(crate) fn take(error: &JoinError) -> Report {
    let mut reports = REPORTS.lock().unwrap_or_else(PoisonError::into_inner);
    let found = reports
        .iter()
        .rposition(|(task, _)| *task == error.id())
        .and_then(|i| reports.remove(i));
    found.map_or_else(
        || Report {
            message: error.to_string(),
            location: "an unknown place".into(),
        },
        |(_, report)| report,
    )
}

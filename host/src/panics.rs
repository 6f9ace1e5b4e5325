//! Remembers where a task panicked, for whoever awaits it.
//!
//! The panic hook knows the place and not the request; the awaiting side knows the request and not the place. The id
//! of the task joins them. App and host share one std, so this one hook sees the panics of every generation.

use std::{
    backtrace::Backtrace,
    collections::VecDeque,
    fmt,
    panic::PanicHookInfo,
    sync::{Mutex, PoisonError},
};

use tokio::task::{Id, JoinError};

/// A panic, as text: the payload is the app's object and is let go at once.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) message: String,
    pub(crate) place: Option<Place>,
    /// Frames, not resolved yet: finding their names reads files, which the panicking task must not wait for.
    backtrace: Backtrace,
}

/// A line of source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{} at {place}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// The latest panics. Bounded: a task that nobody awaits leaves its report behind.
static REPORTS: Mutex<VecDeque<(Id, Report)>> = Mutex::new(VecDeque::new());
const KEPT: usize = 64;

/// Logs every panic with place and thread, which names the generation, and remembers those of tasks.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(record));
}

fn record(info: &PanicHookInfo<'_>) {
    let report = Report {
        message: info
            .payload_as_str()
            .unwrap_or("(a panic without a message)")
            .to_owned(),
        place: info.location().map(|location| Place {
            file: location.file().to_owned(),
            line: location.line(),
            column: location.column(),
        }),
        backtrace: Backtrace::force_capture(),
    };
    let place = report
        .place
        .as_ref()
        .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    tracing::error!(
        "panic at {place} on {}: {}",
        std::thread::current().name().unwrap_or("a thread"),
        report.message
    );
    if let Some(task) = tokio::task::try_id() {
        let mut reports = REPORTS.lock().unwrap_or_else(PoisonError::into_inner);
        if reports.len() == KEPT {
            reports.pop_front();
        }
        reports.push_back((task, report));
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
            place: None,
            backtrace: Backtrace::disabled(),
        },
        |(_, report)| report,
    )
}

/// One call of a backtrace.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Of the project's own sources.
    Own { function: String, place: String },
    /// So many of libraries, in between.
    Others(usize),
}

impl Report {
    /// The calls that led to the panic, innermost first: the project's by name, those of libraries counted.
    ///
    /// Reads debug information; takes a tenth of a second the first time.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        frames(&self.backtrace.to_string())
    }
}

/// Reads std's rendering: a line `N: function`, then if it is known a line `at file:line:column`.
fn frames(rendered: &str) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut lines = rendered.lines().map(str::trim).peekable();
    let mut past_the_panic = false;
    while let Some(line) = lines.next() {
        let Some((_, function)) = line.split_once(": ") else {
            continue;
        };
        let place = lines.next_if(|next| next.starts_with("at "));
        // Above it stands the machinery of panicking, and our hook.
        if !past_the_panic {
            past_the_panic =
                function.contains("panicking::panic") || function.contains("rust_begin_unwind");
            continue;
        }
        match place.and_then(|at| own(at.trim_start_matches("at "))) {
            Some(place) => frames.push(Frame::Own {
                function: function.to_owned(),
                place,
            }),
            None => match frames.last_mut() {
                Some(Frame::Others(count)) => *count += 1,
                Some(Frame::Own { .. }) => frames.push(Frame::Others(1)),
                None => {} // between the machinery and the project: an index out of bounds, an unwrap
            },
        }
    }
    frames
}

/// The place relative to the project, if it is inside. Of workspace members rustc knows relative paths.
fn own(place: &str) -> Option<String> {
    let place = place.trim_start_matches("./");
    ["app_lib/", "shared/", "host/"]
        .iter()
        .any(|folder| place.starts_with(folder))
        .then(|| place.to_owned())
}

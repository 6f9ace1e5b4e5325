//! Records panics of tasks, so that the code that awaits the task can report them.
//!
//! The panic hook knows the location but not the request; the awaiting code knows the request but not the location. The
//! id of the task joins the two. App and host share one std, so this hook sees the panics of every generation.

use std::{
    backtrace::Backtrace,
    collections::VecDeque,
    fmt,
    panic::PanicHookInfo,
    sync::{Mutex, OnceLock, PoisonError},
};

use tokio::task::{Id, JoinError};

use crate::config::{Project, packages::is_tool_folder};

/// A panic as text. The payload is an object of the app and must not be kept.
#[derive(Debug)]
pub(crate) struct PanicReport {
    pub(crate) message: String,
    pub(crate) place: Option<Place>,
    /// Not resolved yet: resolving reads files, and the panicking task must not wait for that.
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

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{} at {place}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// The latest panics. Bounded, since the report of a task that is never awaited stays here.
static REPORTS: Mutex<VecDeque<(Id, PanicReport)>> = Mutex::new(VecDeque::new());
const KEPT: usize = 64;

/// Installs a hook that logs every panic with its location and thread (whose name has the generation), and records
/// those of tasks.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(record));
}

/// The project whose sources are told from those of libraries, and whose files are named from its root.
static PROJECT: OnceLock<Project> = OnceLock::new();

/// Call it once the project is known.
pub(crate) fn belongs_to(project: &Project) {
    PROJECT.get_or_init(|| project.clone());
}

fn record(info: &PanicHookInfo<'_>) {
    let report = PanicReport {
        message: info
            .payload_as_str()
            .unwrap_or("(a panic without a message)")
            .to_owned(),
        place: info.location().map(|location| Place {
            file: shown(location.file()),
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

/// Takes the recorded panic of the task that this error is from.
pub(crate) fn take(error: &JoinError) -> PanicReport {
    let mut reports = REPORTS.lock().unwrap_or_else(PoisonError::into_inner);
    let found = reports
        .iter()
        .rposition(|(task, _)| *task == error.id())
        .and_then(|i| reports.remove(i));
    found.map_or_else(
        || PanicReport {
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
    /// In the project's sources.
    Own { function: String, place: String },
    /// This many calls in libraries, between two of the project's.
    Others(usize),
}

impl PanicReport {
    /// The calls that led to the panic, innermost first: the project's by name, library calls only counted.
    ///
    /// Reads debug information, which takes a tenth of a second the first time.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        frames(&self.backtrace.to_string())
    }
}

/// Parses std's format: a line `N: function`, followed by `at file:line:column` if the location is known.
fn frames(rendered: &str) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut lines = rendered.lines().map(str::trim).peekable();
    let mut past_the_panic = false;
    while let Some(line) = lines.next() {
        let Some((_, function)) = line.split_once(": ") else {
            continue;
        };
        let place = lines.next_if(|next| next.starts_with("at "));
        // The innermost frames are the panic machinery and this hook.
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
                None => {} // std's code that raised the panic, such as an index check or `unwrap`
            },
        }
    }
    frames
}

/// A file as the user knows it. rustc records relative paths for packages inside the workspace.
fn shown(file: &str) -> String {
    let relative = PROJECT.get().map(|project| project.named_by_rustc(file));
    relative.map_or_else(|| file.to_owned(), |file| file.display().to_string())
}

/// The location, if it is in a source of the project.
fn own(place: &str) -> Option<String> {
    let (file, position) = place.split_once(':')?;
    let project = PROJECT.get()?;
    let file = project.named_by_rustc(file);
    let mut parts = file.components();
    // The sources of the C library have relative names too, where its debug information is installed.
    let is_own = file.is_relative()
        && !parts.any(|part| is_tool_folder(part.as_os_str()))
        && project.root().join(&file).is_file();
    is_own.then(|| format!("{}:{position}", file.display()))
}

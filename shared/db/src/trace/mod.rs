//! What a request does, for the dev server to show: its waits, its statements, its log.
//!
//! Kept in the [`Request`](crate::request::Request), and only after [`enable`]; production never calls that. Bounded: one
//! that does too much says how much was left out.

mod params;
mod polls;

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

pub use params::{Param, Value, names_a_secret};

pub(crate) use polls::Polls;
pub use polls::in_statement;

use super::holder::CallSite;

/// Per request.
const MAX_EVENTS: usize = 1000;
const MAX_BYTES: usize = 128 << 10;

/// Of one statement or line of the log. The rest is not shown.
const MAX_TEXT: usize = 8 << 10;

static ENABLED: AtomicBool = AtomicBool::new(false);

/// From now on, requests that begin record what they do, or no longer do.
pub fn enable(on: bool) {
    ENABLED.store(on, Relaxed);
}

/// Whether requests that begin now record what they do.
#[must_use]
pub fn is_enabled() -> bool {
    ENABLED.load(Relaxed)
}

/// Something that a request has done.
#[derive(Clone, Debug)]
pub struct Event {
    /// Since the request began.
    pub from: Duration,
    /// Zero for what has no duration.
    pub took: Duration,
    /// What it was.
    pub what: What,
}

/// See [`Event`].
#[derive(Clone, Debug)]
pub enum What {
    /// It waited until others had released the connection: who had it when the wait began.
    Wait(Option<String>),
    /// It waited for a connection to be opened.
    Connect,
    /// A statement.
    Statement(Box<Statement>),
    /// A line of the log.
    Log(Box<Line>),
}

/// A statement of a request.
#[derive(Clone, Debug)]
pub struct Statement {
    /// As the app has written it; a very long one is cut off.
    pub text: String,
    /// Whether `text` is all of it.
    pub whole: bool,
    /// Its parameters.
    pub params: Vec<Param>,
    /// The call in the app. `None`: another driver has run it.
    pub at: Option<CallSite>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a statement ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// With this many rows, returned or changed. `None`: it has none to speak of.
    Rows(Option<u64>),
    /// With this error: PostgreSQL's code, if it refused, and the message.
    Failed(Option<String>, String),
    /// The request no longer wanted its answer.
    Abandoned,
}

/// A line of the log.
#[derive(Clone, Debug)]
pub struct Line {
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: &'static str,
    /// Usually the module.
    pub target: String,
    /// Message and fields.
    pub message: String,
    /// File and line.
    pub at: Option<(String, u32)>,
}

/// All that was recorded so far, in the order in which it ended.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// What was kept.
    pub events: Vec<Event>,
    /// How many were not, for their number or size.
    pub left_out: u64,
    bytes: usize,
}

impl Recorded {
    /// How many statements other drivers have run.
    #[must_use]
    pub fn statements_of_drivers(&self) -> u64 {
        let is_of_a_driver =
            |event: &&Event| matches!(&event.what, What::Statement(it) if it.at.is_none());
        self.events.iter().filter(is_of_a_driver).count() as u64
    }
}

#[derive(Debug)]
pub(super) struct Trace(Mutex<Recorded>);

impl Trace {
    /// `None` where nobody wants to know.
    pub(super) fn begin() -> Option<Self> {
        is_enabled().then(|| Self(Mutex::default()))
    }

    pub(super) fn read<R>(&self, read: impl FnOnce(&Recorded) -> R) -> R {
        read(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn record(&self, event: Event) {
        let mut recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = recorded.bytes + event.what.bytes();
        if recorded.events.len() == MAX_EVENTS || bytes > MAX_BYTES {
            recorded.left_out += 1;
            return;
        }
        recorded.bytes = bytes;
        recorded.events.push(event);
    }
}

impl What {
    /// Roughly, with what it has on the heap.
    fn bytes(&self) -> usize {
        size_of::<Event>()
            + match self {
                Self::Wait(behind) => behind.as_ref().map_or(0, String::len),
                Self::Connect => 0,
                Self::Statement(statement) => statement.bytes(),
                Self::Log(line) => {
                    let file = line.at.as_ref().map_or(0, |(file, _)| file.len());
                    size_of::<Line>() + line.target.len() + line.message.len() + file
                }
            }
    }
}

impl Statement {
    pub(super) fn new(text: &str, params: Vec<Param>, at: CallSite, outcome: Outcome) -> Self {
        let kept = cut(text);
        Self {
            text: kept.to_owned(),
            whole: kept.len() == text.len(),
            params,
            at: Some(at),
            outcome,
        }
    }

    fn bytes(&self) -> usize {
        let params = self.params.iter().map(Param::bytes).sum::<usize>();
        let message = match &self.outcome {
            Outcome::Failed(_, message) => message.len(),
            _ => 0,
        };
        size_of::<Self>() + self.text.len() + params + message
    }

    /// One that another driver has run, of which no more than this is known.
    #[must_use]
    pub fn of_a_driver(text: &str, outcome: Outcome) -> Self {
        let kept = cut(text);
        Self {
            text: kept.to_owned(),
            whole: kept.len() == text.len(),
            params: Vec::new(),
            at: None,
            outcome: match outcome {
                Outcome::Failed(code, message) => Outcome::Failed(code, cut(&message).to_owned()),
                other => other,
            },
        }
    }
}

impl Line {
    /// A line whose message is cut off where it is very long.
    #[must_use]
    pub fn new(level: &'static str, target: &str, message: &str, at: Option<(&str, u32)>) -> Self {
        Self {
            level,
            target: target.to_owned(),
            message: cut(message).to_owned(),
            at: at.map(|(file, line)| (file.to_owned(), line)),
        }
    }
}

pub(super) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

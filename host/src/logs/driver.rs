//! Which request has run which statement of tokio-postgres, and so of diesel-async: the driver logs, inside the request,
//! that it sends a statement, and the exchange knows later how that has ended.
//!
//! Owns the pairing. A prepared statement is known by its name, which is unique in this process, since all generations
//! share one tokio-postgres; one without a name, such as BEGIN, by its text.

use std::{
    collections::{HashMap, VecDeque},
    fmt::{self, Write},
    sync::{
        Arc, LazyLock, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use host_wire::Executed;
use log::{Level, Log, Metadata, Record};
use shared::{
    db::trace::{self, Statement, What, in_statement},
    request::Request,
};
use tracing::level_filters::LevelFilter;
use tracing_log::{AsLog, LogTracer};

/// The modules of tokio-postgres in which it says what it sends.
const TARGETS: [&str; 4] = [
    "tokio_postgres::query",
    "tokio_postgres::simple_query",
    "tokio_postgres::copy_in",
    "tokio_postgres::copy_out",
];

/// How tokio-postgres 0.7 begins to say so, and what follows the name or the text.
const WORDS: [(&str, &str); 5] = [
    ("executing statement batch: ", ""),
    ("executing statement ", " with parameters"),
    ("executing simple query: ", ""),
    ("executing copy in statement ", ""),
    ("executing copy out statement ", ""),
];

/// Of a line no more is looked at, and of two texts no more is compared.
const MAX_LINE: usize = 4 << 10;

/// So many statements may be without an answer; beyond that, further ones are not recorded.
const MAX_SENT: usize = 4096;

/// A shorter wait is not recorded.
const WAIT: Duration = Duration::from_millis(1);

static SENT: LazyLock<Mutex<Sent>> = LazyLock::new(Mutex::default);

/// Statements that requests have sent, by name or text, oldest first.
#[derive(Default)]
struct Sent {
    by_source: HashMap<String, VecDeque<(Weak<Request>, Instant)>>,
    count: usize,
}

/// Records of the crate `log`: shows them as the subscriber shows its own, and notes what the driver sends. Before the
/// subscriber, whose filters take longer than a short statement.
pub(super) struct Records(LogTracer);

/// Whether the subscriber may show lines of these levels at all.
static SHOWN: AtomicBool = AtomicBool::new(false);

impl Records {
    /// Makes these the records of the process, unless it has some.
    pub(super) fn install() {
        let records = Box::new(Self(LogTracer::new()));
        drop(log::set_boxed_logger(records)); // fails if another was first
    }

    /// Lets through what the subscriber shows with this filter, and what is noted.
    pub(super) fn follow(filter: &str) {
        let is_shown = ["debug", "trace"]
            .iter()
            .any(|level| filter.contains(level));
        SHOWN.store(is_shown, Relaxed);
        let noted = match trace::is_enabled() {
            true => log::LevelFilter::Debug,
            false => log::LevelFilter::Off,
        };
        log::set_max_level(LevelFilter::current().as_log().max(noted));
    }
}

impl Log for Records {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        match is_of_the_driver(metadata) {
            true => request().is_some() || (SHOWN.load(Relaxed) && self.0.enabled(metadata)),
            false => self.0.enabled(metadata),
        }
    }

    fn log(&self, record: &Record<'_>) {
        if is_of_the_driver(record.metadata()) {
            if let Some(request) = request() {
                note(&request, record);
            }
            if !SHOWN.load(Relaxed) {
                return;
            }
        }
        self.0.log(record);
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// The request whose statements are noted. Those of the `Db` are recorded already.
fn request() -> Option<Arc<Request>> {
    let current = || Request::current().filter(|request| request.is_traced());
    (!in_statement()).then(current).flatten()
}

/// Notes what the request sends, if the record says that.
fn note(request: &Arc<Request>, record: &Record<'_>) {
    let mut line = String::new();
    // Ends early where the parameters are long.
    write!(Bounded(&mut line), "{}", record.args()).unwrap_or(());
    if let Some(source) = source_in(&line) {
        let mut sent = SENT.lock().unwrap_or_else(PoisonError::into_inner);
        sent.push(source, request);
    }
}

/// Records a statement in the request that has sent it, if that is known.
pub(crate) fn answered(executed: &Executed) {
    let taken = {
        let mut sent = SENT.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of the `Db` come here too, and with most apps there are no others.
        if sent.count == 0 {
            return;
        }
        let source = match executed.name() {
            "" => executed.sql(),
            name => name,
        };
        sent.take(cut(source), executed.since)
    };
    if let Some((request, asked)) = taken {
        if executed.since.duration_since(asked) >= WAIT {
            request.record_until(asked, executed.since, What::Wait(None));
        }
        let statement = Statement::of_a_driver(executed.sql(), executed.outcome.clone());
        request.record(executed.since, What::Statement(Box::new(statement)));
    }
}

impl Sent {
    fn push(&mut self, source: &str, request: &Arc<Request>) {
        if self.count == MAX_SENT {
            self.sweep();
        }
        if self.count == MAX_SENT {
            return;
        }
        let queue = self.by_source.entry(source.to_owned()).or_default();
        queue.push_back((Arc::downgrade(request), Instant::now()));
        self.count += 1;
    }

    /// Without those of requests that are over.
    fn sweep(&mut self) {
        self.by_source.retain(|_, queue| {
            queue.retain(|(of, _)| of.strong_count() > 0);
            !queue.is_empty()
        });
        self.count = self.by_source.values().map(VecDeque::len).sum();
    }

    /// The request that has sent this before `since`. Those that ended without waiting for their answers count no more.
    fn take(&mut self, source: &str, since: Instant) -> Option<(Arc<Request>, Instant)> {
        let queue = self.by_source.get_mut(source)?;
        let before = queue.len();
        while queue.front().is_some_and(|(of, _)| of.strong_count() == 0) {
            queue.pop_front();
        }
        let is_due = queue.front().is_some_and(|(_, asked)| *asked <= since);
        let taken = queue.pop_front_if(|_| is_due);
        self.count -= before - queue.len();
        if queue.is_empty() {
            self.by_source.remove(source);
        }
        let (request, asked) = taken?;
        Some((request.upgrade()?, asked))
    }
}

fn is_of_the_driver(metadata: &Metadata<'_>) -> bool {
    metadata.level() == Level::Debug && TARGETS.contains(&metadata.target())
}

/// The name or the text of the statement that a line is about.
fn source_in(line: &str) -> Option<&str> {
    let found = WORDS.iter().find_map(|(before, after)| {
        let rest = line.strip_prefix(before)?;
        match *after {
            "" => Some(rest),
            after => rest.split_once(after).map(|(name, _)| name),
        }
    });
    found.map(cut)
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_LINE)]
}

struct Bounded<'a>(&'a mut String);

impl Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // With room for the words before.
        if self.0.len() > 2 * MAX_LINE {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_which_statement_is_sent() {
        for (line, source) in [
            (
                "executing statement s7 with parameters: [\"x\"]",
                Some("s7"),
            ),
            ("executing statement batch: BEGIN", Some("BEGIN")),
            ("executing simple query: SELECT 1", Some("SELECT 1")),
            ("executing copy in statement s8", Some("s8")),
            ("preparing query s7: SELECT 1", None),
        ] {
            assert_eq!(source_in(line), source, "{line}");
        }
    }

    #[test]
    fn an_answer_goes_to_the_oldest_request_that_still_waits_for_it() {
        let requests = [1, 2, 3].map(|number| Request::new("GET", "/", 1, number));
        let mut sent = Sent::default();
        for request in &requests {
            sent.push("s0", request);
        }
        let [gone, second, third] = requests;
        drop(gone);
        let mut taken = || {
            sent.take("s0", Instant::now())
                .map(|(request, _)| request.number())
        };
        assert_eq!(taken(), Some(second.number()));
        assert_eq!(taken(), Some(third.number()));
        assert_eq!((taken(), sent.count), (None, 0));
    }

    #[test]
    fn an_answer_of_before_is_not_that_of_a_request() {
        let before = Instant::now();
        let mut sent = Sent::default();
        let request = Request::new("GET", "/", 1, 1);
        sent.push("BEGIN", &request);
        assert!(
            sent.take("BEGIN", before - Duration::from_secs(1))
                .is_none()
        );
        assert_eq!(sent.count, 1);
    }
}

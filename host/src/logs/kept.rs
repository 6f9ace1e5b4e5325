//! The last lines of the log, in memory: what was logged, when, and for whom. Bounded by their number and their size.
//!
//! Those that the terminal shows, whether or not the user has hidden them there; and what browsers have reported.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use serde::Serialize;
use shared::db::trace::Line;
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context};

use super::{is_of_the_host, origin::Origin, text::line_of};

const MAX_LINES: usize = 2000;
const MAX_BYTES: usize = 2 << 20;

/// A line, and what is known of it.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Counts the lines since the host has started.
    pub(crate) id: u64,
    pub(crate) at: SystemTime,
    pub(crate) from: Source,
    pub(crate) origin: Origin,
    pub(crate) line: Line,
    /// In the line of source; only a browser says it.
    pub(crate) column: Option<u32>,
}

/// Who has written a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// The app, and the libraries that it and the host use.
    App,
    Host,
    /// A page of the app, in a browser.
    Browser,
}

#[cfg_attr(test, derive(Default))]
struct Lines {
    /// Oldest first.
    kept: VecDeque<Arc<Kept>>,
    bytes: usize,
    so_far: u64,
}

/// One for the process, as its subscriber is.
static LINES: Mutex<Lines> = Mutex::new(Lines {
    kept: VecDeque::new(),
    bytes: 0,
    so_far: 0,
});

/// Keeps a line.
pub(crate) fn keep(from: Source, origin: Origin, line: Line, column: Option<u32>) {
    lines().add(from, origin, line, column);
}

/// All that are kept, newest first.
pub(crate) fn all() -> Vec<Arc<Kept>> {
    lines().kept.iter().rev().cloned().collect()
}

/// The number of the newest line; 0 before the first.
pub(crate) fn newest() -> u64 {
    lines().so_far
}

fn lines() -> MutexGuard<'static, Lines> {
    // Nothing that can panic runs under the lock, and nothing that logs.
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lines {
    fn add(&mut self, from: Source, origin: Origin, line: Line, column: Option<u32>) {
        self.so_far += 1;
        let kept = Kept {
            id: self.so_far,
            at: SystemTime::now(),
            from,
            origin,
            line,
            column,
        };
        self.bytes += kept.bytes();
        self.kept.push_back(Arc::new(kept));
        while self.kept.len() > MAX_LINES || self.bytes > MAX_BYTES {
            let oldest = self.kept.pop_front();
            self.bytes -= oldest.map_or(self.bytes, |oldest| oldest.bytes());
        }
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        let Line {
            target,
            message,
            at,
            ..
        } = &self.line;
        let file = at.as_ref().map_or(0, |(file, _)| file.len());
        size_of::<Self>() + target.len() + message.len() + file
    }
}

/// Keeps each line that its filter lets through.
pub(super) struct KeepLines;

impl<S: Subscriber> Layer<S> for KeepLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = line_of(event);
        let from = match is_of_the_host(&line.target) {
            true => Source::Host,
            false => Source::App,
        };
        keep(from, Origin::here(), line, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(count: usize, message: &str) -> Lines {
        let mut lines = Lines::default();
        for _ in 0..count {
            let line = Line::new("INFO", "shop", message, None);
            lines.add(Source::App, Origin::default(), line, None);
        }
        lines
    }

    #[test]
    fn the_newest_are_kept_and_neither_many_nor_long_ones_are_too_many() {
        let many = added(MAX_LINES + 5, "short");
        assert_eq!(many.kept.len(), MAX_LINES);
        assert_eq!(many.kept.front().map(|oldest| oldest.id), Some(6));

        let long = added(MAX_LINES, &"x".repeat(8 << 10));
        let bytes: usize = long.kept.iter().map(|kept| kept.bytes()).sum();
        assert!(long.kept.len() < MAX_LINES && bytes <= MAX_BYTES);
        assert_eq!(bytes, long.bytes);
        assert_eq!(
            long.kept.back().map(|newest| newest.id),
            Some(MAX_LINES as u64)
        );
    }
}

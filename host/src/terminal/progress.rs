//! Progress of a slow build: a line that is redrawn in place, or, where that is impossible, a new line now and then.
//!
//! Prints nothing for a short build of the app alone.

use std::time::{Duration, Instant};

use super::{DIM, screen};
use crate::events::Progress;

/// How often the line is redrawn.
pub(super) const FRAME: Duration = Duration::from_millis(120);

/// Progress of a build of the app alone is printed after this time.
const SHOW_AFTER: Duration = Duration::from_secs(2);

/// How often a new line is printed where nothing can be redrawn.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const WIDTH: usize = 24;

/// A running build.
pub(super) struct Building {
    since: Instant,
    /// The first build: nothing can be served until it ends.
    first: bool,
    dependencies: bool,
    progress: Option<Progress>,
    /// See [`crate::generation::Generations::at_rest`].
    at_rest: Option<u64>,
    /// No app code has run since the line was drawn, so nothing else can have been printed and the line may be redrawn.
    in_place: bool,
    /// When the last line was printed.
    last_printed: Option<Instant>,
}

impl Building {
    pub(super) fn new(first: bool, at_rest: Option<u64>) -> Self {
        Self {
            since: Instant::now(),
            first,
            dependencies: false,
            progress: None,
            at_rest,
            in_place: true,
            last_printed: None,
        }
    }

    pub(super) fn set_progress(&mut self, progress: Progress) {
        self.progress = Some(progress);
    }

    pub(super) fn note_dependencies(&mut self) {
        self.dependencies = true;
        self.last_printed = None; // print it at once
    }

    /// Shows the progress, if it is time to.
    pub(super) fn show(&mut self, at_rest: Option<u64>) {
        let took = self.since.elapsed();
        if !self.first && !self.dependencies && took < SHOW_AFTER {
            return;
        }
        if self.in_place && !self.first && (at_rest.is_none() || at_rest != self.at_rest) {
            self.in_place = false;
            screen::keep_drawn();
        }
        if self.in_place && screen::is_ours() {
            screen::redraw(&self.drawn(took));
        } else if self
            .last_printed
            .is_none_or(|last_printed| last_printed.elapsed() >= LINE_INTERVAL)
        {
            screen::line(format_args!("{DIM}{}{DIM:#}", self.line(took)));
            self.last_printed = Some(Instant::now());
        }
    }

    /// How long it took, if dependencies were built too.
    pub(super) fn ended(self) -> Option<String> {
        let took = self.since.elapsed();
        (self.dependencies && !self.first).then(|| in_words(took))
    }

    fn drawn(&self, took: Duration) -> String {
        let frame = (took.as_millis() / FRAME.as_millis()) as usize % SPINNER.len();
        let (what, bar) = match (self.first, self.dependencies) {
            (true, _) => ("building the app", self.progress.map(bar)),
            (false, true) => (
                "building the app and its dependencies …",
                self.progress.map(bar),
            ),
            (false, false) => ("building the app …", None),
        };
        let bar = bar.unwrap_or_default();
        format!("  {} {what}  {bar}{}", SPINNER[frame], in_words(took))
    }

    fn line(&self, took: Duration) -> String {
        let what = match self.dependencies && !self.first {
            true => "building the app and its dependencies …",
            false => "building the app …",
        };
        match self.progress {
            _ if took < SHOW_AFTER || self.dependencies && self.last_printed.is_none() => {
                what.to_owned()
            }
            Some(Progress { built, total }) => {
                format!("{what} ({built}/{total}), {}", in_words(took))
            }
            None => format!("{what} {}", in_words(took)),
        }
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        screen::undraw();
    }
}

fn bar(Progress { built, total }: Progress) -> String {
    let full = (WIDTH * built).checked_div(total).unwrap_or(0).min(WIDTH);
    format!(
        "{}{}  {built} of {total} crates  ",
        "━".repeat(full),
        "─".repeat(WIDTH - full)
    )
}

fn in_words(took: Duration) -> String {
    match (took.as_secs() / 60, took.as_secs() % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

//! A build that takes its time: in a line that is redrawn in place, and where that cannot be, in a line now and then.
//!
//! Says nothing of a build of the app alone that is over soon.

use std::time::{Duration, Instant};

use super::{DIM, screen};
use crate::reload::Progress;

/// How often it is redrawn.
pub(super) const FRAME: Duration = Duration::from_millis(120);

/// From when on a build of the app alone is told.
const SHORT: Duration = Duration::from_secs(2);

/// How often there is a line where nothing can be redrawn.
const AGAIN: Duration = Duration::from_secs(10);

const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const WIDTH: usize = 24;

/// A build that runs.
pub(super) struct Building {
    since: Instant,
    /// Nothing can be served before it has ended.
    first: bool,
    dependencies: bool,
    progress: Option<Progress>,
    /// See [`crate::generation::Generations::at_rest`].
    at_rest: Option<u64>,
    /// No request has run app code since it was drawn: nothing but what was drawn is erased.
    in_place: bool,
    /// When there was a line.
    told: Option<Instant>,
}

impl Building {
    pub(super) fn begins(first: bool, at_rest: Option<u64>) -> Self {
        Self {
            since: Instant::now(),
            first,
            dependencies: false,
            progress: None,
            at_rest,
            in_place: true,
            told: None,
        }
    }

    pub(super) fn is_at(&mut self, progress: Progress) {
        self.progress = Some(progress);
    }

    pub(super) fn has_dependencies(&mut self) {
        self.dependencies = true;
        self.told = None; // that is news
    }

    /// Shows how far it is, if it is time to.
    pub(super) fn show(&mut self, at_rest: Option<u64>) {
        let took = self.since.elapsed();
        if !self.first && !self.dependencies && took < SHORT {
            return;
        }
        if self.in_place && !self.first && (at_rest.is_none() || at_rest != self.at_rest) {
            self.in_place = false;
            screen::leave();
        }
        if self.in_place && screen::is_ours() {
            screen::redraw(&self.drawn(took));
        } else if self.told.is_none_or(|told| told.elapsed() >= AGAIN) {
            screen::line(format_args!("{DIM}{}{DIM:#}", self.line(took)));
            self.told = Some(Instant::now());
        }
    }

    /// How long it took in words, if that is more than is said of any build.
    pub(super) fn ended(self) -> Option<String> {
        let took = self.since.elapsed();
        (self.dependencies && !self.first).then(|| in_words(took))
    }

    fn drawn(&self, took: Duration) -> String {
        let frame = (took.as_millis() / FRAME.as_millis()) as usize % SPINNER.len();
        let (what, bar) = match (self.first, self.dependencies) {
            (true, _) => ("building the app", self.progress.map(bar)),
            (false, true) => (
                "building …, dependencies have changed",
                self.progress.map(bar),
            ),
            (false, false) => ("building app_lib …", None),
        };
        let bar = bar.unwrap_or_default();
        format!("  {} {what}  {bar}{}", SPINNER[frame], in_words(took))
    }

    fn line(&self, took: Duration) -> String {
        let what = match self.dependencies && !self.first {
            true => "building …, dependencies have changed",
            false => "building app_lib …",
        };
        match self.progress {
            _ if took < SHORT || self.dependencies && self.told.is_none() => what.to_owned(),
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

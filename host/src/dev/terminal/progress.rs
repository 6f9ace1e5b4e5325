//! The first build, in a line that is redrawn in place. Later builds are short, and an app may print during them.

use std::time::{Duration, Instant};

use super::screen;
use crate::reload::Progress;

/// How often it is redrawn.
pub(super) const FRAME: Duration = Duration::from_millis(120);

const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const WIDTH: usize = 24;

/// A first build that runs.
pub(super) struct FirstBuild {
    since: Instant,
    progress: Option<Progress>,
}

impl FirstBuild {
    pub(super) fn begins() -> Self {
        Self {
            since: Instant::now(),
            progress: None,
        }
    }

    pub(super) fn is_at(&mut self, progress: Progress) {
        self.progress = Some(progress);
    }

    pub(super) fn redraw(&self) {
        let took = self.since.elapsed();
        let frame = (took.as_millis() / FRAME.as_millis()) as usize % SPINNER.len();
        let how_far = self.progress.map_or_else(String::new, bar);
        screen::redraw(&format!(
            "  {} building the app  {how_far}{} s",
            SPINNER[frame],
            took.as_secs()
        ));
    }
}

impl Drop for FirstBuild {
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

//! The lines of a save: its build, while that is slow, and its outcome.

use super::{
    BAD, DIM, GOOD, NOTE, Terminal, line,
    measure::{columns, fits},
    progress::Building,
    reloaded,
    screen::{self, ResultLine, outcome, print},
    warnings::as_before,
    words::{files_label, rendered, still_serving},
};
use crate::events::{Diagnostic, Event};

impl Terminal {
    /// Shows a step of a save. Other events have been shown already.
    pub(super) async fn show_save(&mut self, event: Event) {
        match event {
            Event::Building { first, files } => return self.begin(first, files),
            Event::Progress(progress) => {
                return self
                    .building
                    .iter_mut()
                    .for_each(|build| build.set_progress(progress));
            }
            Event::Dependencies => {
                self.building
                    .iter_mut()
                    .for_each(Building::note_dependencies);
                return self.show_progress();
            }
            _ => {}
        }
        if let Some(building) = self.building.take() {
            self.took = building.ended();
        }
        let after = |word| match &self.took {
            Some(took) => format!(" {word} {took}"),
            None => String::new(),
        };
        match event {
            Event::Refreshed { files } => self.refreshed(files),
            Event::BuildFailed {
                diagnostics,
                serving,
            } => self.show_outcome(
                "not built",
                &diagnostics,
                &format!(
                    "{BAD}✗ not built{BAD:#}{} — {}",
                    after("after"),
                    still_serving(serving)
                ),
            ),
            Event::Refused { why, serving } => self.show_outcome(
                &why,
                &[],
                &format!("{BAD}✗ not live:{BAD:#} {why} — {}", still_serving(serving)),
            ),
            Event::Unchanged { files, warnings } => self.show_outcome(
                "unchanged",
                &warnings,
                &match &files[..] {
                    [] => format!("{DIM}= rebuilt{}, no change{DIM:#}", after("in")),
                    files => format!(
                        "{DIM}= {}: rebuilt{}, no change{DIM:#}",
                        files_label(files),
                        after("in")
                    ),
                },
            ),
            Event::Live { last, warnings } => match self.banner.take() {
                Some(banner) => {
                    let (new, _) = self.warnings.select_new(&warnings, true);
                    print(format_args!("{}", rendered(&new)));
                    banner.show(&self.db, self.observer.count().await.as_ref(), &last);
                }
                None => {
                    let text = reloaded::line(&last, &self.connections().await, columns());
                    self.show_outcome("live", &warnings, &text);
                }
            },
            Event::Restarting {
                outgrown: Some(images),
                ..
            } => line(format_args!(
                "{NOTE}↻ {images}: restarting; PID and socket stay{NOTE:#}"
            )),
            Event::Restarting { files, .. } => line(format_args!(
                "{NOTE}↻ {}: the host has changed: restarting it{}; the socket stays open{NOTE:#}",
                files_label(&files),
                after("after a build of")
            )),
            _ => {} // a step without a line
        }
    }

    fn begin(&mut self, first: bool, files: Vec<String>) {
        if !first && files == self.files {
            screen::move_back(self.generations.at_rest());
        }
        self.files = files;
        self.took = None;
        // If a save has cancelled the first build, its progress line continues.
        if !first || self.building.is_none() {
            self.building = None; // removes what it has drawn
            self.building = Some(Building::new(first, self.generations.at_rest()));
        }
        self.show_progress();
    }

    pub(super) fn show_progress(&mut self) {
        if let Some(building) = &mut self.building {
            building.show(self.generations.at_rest());
        }
    }

    fn refreshed(&mut self, files: Vec<String>) {
        if files == self.files {
            screen::move_back(self.generations.at_rest());
        }
        let text = format!(
            "{GOOD}✓{GOOD:#} {}  {DIM}needs no build; open pages reload{DIM:#}",
            files_label(&files)
        );
        self.files = files;
        self.show_outcome("refreshed", &[], &text);
    }

    /// Outcomes are equal if `of`, the files and the compiler's messages are.
    fn show_outcome(&mut self, of: &str, diagnostics: &[Diagnostic], text: &str) {
        let (new, known) = self
            .warnings
            .select_new(diagnostics, matches!(of, "live" | "unchanged"));
        let result = ResultLine {
            key: format!("{of} {:?} {}", self.files, rendered(diagnostics)),
            details: rendered(&new),
        };
        let counted = format!("{text}{}", as_before(known));
        // If there is no room, drop the count of known warnings first.
        let text = if fits(&counted, columns()) {
            &counted
        } else {
            text
        };
        outcome(result, format_args!("{text}"), self.generations.at_rest());
    }
}

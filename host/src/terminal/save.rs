//! The lines of a save: its build, while that is slow, and its outcome.

use std::time::Duration;

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

/// How long the result of a build waits for tasks that end. An app with tasks that stay gets its lines this much later.
const SETTLES_WITHIN_MS: u32 = 20;

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
            Event::Refreshed { files } => self.refreshed(files).await,
            Event::BuildFailed {
                diagnostics,
                serving,
            } => {
                let text = format!(
                    "{BAD}✗ not built{BAD:#}{} — {}",
                    after("after"),
                    still_serving(serving)
                );
                self.show_outcome("not built", &diagnostics, &text).await;
            }
            Event::Refused { why, serving } => {
                let text = format!("{BAD}✗ not live:{BAD:#} {why} — {}", still_serving(serving));
                self.show_outcome(&why, &[], &text).await;
            }
            Event::Unchanged { files, warnings } => {
                let text = match &files[..] {
                    [] => format!("{DIM}= rebuilt{}, no change{DIM:#}", after("in")),
                    files => format!(
                        "{DIM}= {}: rebuilt{}, no change{DIM:#}",
                        files_label(files),
                        after("in")
                    ),
                };
                self.show_outcome("unchanged", &warnings, &text).await;
            }
            Event::Live { last, warnings } => match self.banner.take() {
                Some(banner) => {
                    let (new, _) = self.warnings.select_new(&warnings, true);
                    print(format_args!("{}", rendered(&new)));
                    banner.show(&self.db, self.observer.count().await.as_ref(), &last);
                }
                None => {
                    let text = reloaded::line(&last, &self.connections().await, columns());
                    self.show_outcome("live", &warnings, &text).await;
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

    async fn refreshed(&mut self, files: Vec<String>) {
        if files == self.files {
            screen::move_back(self.generations.at_rest());
        }
        let text = format!(
            "{GOOD}✓{GOOD:#} {}  {DIM}needs no build; open pages show it{DIM:#}",
            files_label(&files)
        );
        self.files = files;
        self.show_outcome("refreshed", &[], &text).await;
    }

    /// Outcomes are equal if `of`, the files and the compiler's messages are.
    async fn show_outcome(&mut self, of: &str, diagnostics: &[Diagnostic], text: &str) {
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
        let at_rest = self.settled().await;
        outcome(result, format_args!("{text}"), at_rest);
    }

    /// [`at_rest`](crate::generation::Generations::at_rest), a moment later if need be: the task that has started the
    /// app, or the one that drops the router before it, may be about to end.
    async fn settled(&self) -> Option<u64> {
        for _ in 0..SETTLES_WITHIN_MS {
            let at_rest = self.generations.at_rest();
            if at_rest.is_some() || !screen::is_ours() {
                return at_rest;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        None
    }
}

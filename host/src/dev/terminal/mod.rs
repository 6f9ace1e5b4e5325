//! What the user sees: a banner once, then one line per event.

// Output as text or as JSON.
pub(super) mod clock;
pub(super) mod json;
pub(super) mod screen;

// The banner, and lines of several parts.
pub(super) mod banner;
mod health;
mod measure;
mod progress;
mod proof;
mod refusal;
mod reloaded;
mod retired;
mod warnings;
mod words;

// Keys, and the browser that a key opens.
mod browse;
pub(super) mod keys;

use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use shared::Db;
use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};

use super::{health::Health, mode::Mode, observer::Observer, status::Refusals};
use banner::Banner;
use measure::{columns, fits};
use progress::{Building, FRAME};
pub(crate) use screen::line;
use screen::{Outcome, outcome, print};
use warnings::{Warnings, as_before};
use words::{files_label, rendered, still_serving};

use crate::{
    generation::Generations,
    reload::{Diagnostic, Event},
};

pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const BOLD: Style = Style::new().bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const NOTE: Style = AnsiColor::Yellow.on_default();

/// Prints events, and keeps what their lines need.
pub(crate) struct Terminal {
    /// Printed with the first generation.
    banner: Option<Banner>,
    mode: Mode,
    db: Db,
    observer: Arc<Observer>,
    generations: Arc<Generations>,
    /// The backend after the previous reload, to tell whether it is the same.
    backend: Option<i32>,
    /// The saved files that the current or last build is for.
    files: Vec<String>,
    /// Set while a build runs.
    building: Option<Building>,
    /// How long the last build took, if that is worth printing.
    took: Option<String>,
    warnings: Warnings,
}

impl Terminal {
    pub(crate) fn new(
        banner: Banner,
        db: Db,
        observer: Arc<Observer>,
        generations: Arc<Generations>,
    ) -> Self {
        Self {
            mode: banner.mode,
            banner: Some(banner),
            db,
            observer,
            generations,
            backend: None,
            files: Vec::new(),
            building: None,
            took: None,
            warnings: Warnings::default(),
        }
    }

    /// Prints events until nobody is left to report one.
    pub(crate) async fn show(
        mut self,
        mut events: mpsc::UnboundedReceiver<Event>,
        mut refused: watch::Receiver<Refusals>,
        mut health: watch::Receiver<Health>,
    ) {
        let mut shown_cause = None;
        let mut frames = tokio::time::interval(FRAME);
        // Refusals come in floods, so only the first is printed. `times == 1` would not tell: it may be two at the
        // first look.
        let mut refusal_printed = false;
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) if screen::is_json() => self.print_json(event).await,
                    Some(event) => self.show_event(event).await,
                    None => return,
                },
                Ok(()) = refused.changed(), if !refusal_printed => {
                    refusal_printed = true;
                    let refusals = refused.borrow_and_update().clone();
                    refusal::show(&refusals, self.mode, &self.observer).await;
                }
                Ok(()) = health.changed() => {
                    shown_cause = health::show(health.borrow_and_update().trouble.as_ref(), shown_cause);
                }
                _ = frames.tick(), if self.building.is_some() => self.show_progress(),
            }
        }
    }

    async fn show_event(&mut self, event: Event) {
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
            Event::Building { .. } | Event::Progress(_) | Event::Dependencies => {}
            Event::Migrating | Event::Loading => {}
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
                &format!(
                    "{BAD}✗ the app failed to start:{BAD:#} {why} — {}",
                    still_serving(serving)
                ),
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
            Event::Retired(retired) => retired::show(&retired),
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

    fn show_progress(&mut self) {
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
        let result = Outcome {
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

    /// Prints the event as JSON.
    async fn print_json(&mut self, event: Event) {
        let Event::Live { last, .. } = &event else {
            return screen::event(event);
        };
        let generation = last.generation;
        let (backend_pid, same_backend, census) = self.proof().await;
        screen::event(json::Live {
            event,
            backend_pid,
            same_backend,
            backends: census.map(|census| census.backends),
        });
        if let Some(banner) = self.banner.take() {
            json::ready(&banner, generation);
        }
    }
}

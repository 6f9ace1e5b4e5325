//! What the user sees: a banner once, then one line for each thing that happens.

// Who writes, and in which of two languages.
pub(super) mod json;
pub(super) mod screen;

// The banner, and what needs more than a line.
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

// The keys, and the browser that a key opens.
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
use words::{rendered, still, what};

use crate::{
    generation::Generations,
    reload::{Diagnostic, Event},
};

pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const BOLD: Style = Style::new().bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const NOTE: Style = AnsiColor::Yellow.on_default();

/// The screen, and what its lines are made of.
pub(crate) struct Terminal {
    /// Shown with the first generation.
    banner: Option<Banner>,
    mode: Mode,
    db: Db,
    observer: Arc<Observer>,
    generations: Arc<Generations>,
    /// Of the reload before, to say whether it is the same.
    backend: Option<i32>,
    /// What the build under way, or the last one, was for.
    files: Vec<String>,
    /// While it runs.
    building: Option<Building>,
    /// How long the last one took, if that is worth a word.
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

    /// Prints what happens until the host ends. Aborted with it.
    pub(crate) async fn show(
        mut self,
        mut events: mpsc::UnboundedReceiver<Event>,
        mut refused: watch::Receiver<Refusals>,
        mut health: watch::Receiver<Health>,
    ) {
        let mut bad = None;
        let mut frames = tokio::time::interval(FRAME);
        // Told once, of a flood: every request meets the same wall. Not by their number, which may be two at the first look.
        let mut told = false;
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) if screen::is_json() => self.tell(event).await,
                    Some(event) => self.show_event(event).await,
                    None => return,
                },
                Ok(()) = refused.changed(), if !told => {
                    told = true;
                    let refusals = refused.borrow_and_update().clone();
                    refusal::show(&refusals, self.mode, &self.observer).await;
                }
                Ok(()) = health.changed() => {
                    bad = health::show(health.borrow_and_update().trouble.as_ref(), bad);
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
                    .for_each(|build| build.is_at(progress));
            }
            Event::Dependencies => {
                self.building
                    .iter_mut()
                    .for_each(Building::has_dependencies);
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
                    still(serving)
                ),
            ),
            Event::Refused { why, serving } => self.show_outcome(
                &why,
                &[],
                &format!(
                    "{BAD}✗ the app failed to start:{BAD:#} {why} — {}",
                    still(serving)
                ),
            ),
            Event::Unchanged { files, warnings } => self.show_outcome(
                "unchanged",
                &warnings,
                &match &files[..] {
                    [] => format!("{DIM}= rebuilt{}, no change{DIM:#}", after("in")),
                    files => format!(
                        "{DIM}= {}: rebuilt{}, no change{DIM:#}",
                        what(files),
                        after("in")
                    ),
                },
            ),
            Event::Live { last, warnings } => match self.banner.take() {
                Some(banner) => {
                    let (news, _) = self.warnings.news(&warnings, true);
                    print(format_args!("{}", rendered(&news)));
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
                what(&files),
                after("after a build of")
            )),
        }
    }

    fn begin(&mut self, first: bool, files: Vec<String>) {
        if !first && files == self.files {
            screen::lift(self.generations.at_rest());
        }
        self.files = files;
        self.took = None;
        // One that a save has cancelled goes on, for who waits for it.
        if !first || self.building.is_none() {
            self.building = None; // takes away what it has drawn
            self.building = Some(Building::begins(first, self.generations.at_rest()));
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
            screen::lift(self.generations.at_rest());
        }
        let text = format!(
            "{GOOD}✓{GOOD:#} {}  {DIM}needs no build; open pages reload{DIM:#}",
            what(&files)
        );
        self.files = files;
        self.show_outcome("refreshed", &[], &text);
    }

    /// `of` is what makes it another outcome than the one before, beside the files and the compiler's words.
    fn show_outcome(&mut self, of: &str, diagnostics: &[Diagnostic], text: &str) {
        let (news, known) = self
            .warnings
            .news(diagnostics, matches!(of, "live" | "unchanged"));
        let what = Outcome {
            of: format!("{of} {:?} {}", self.files, rendered(diagnostics)),
            details: rendered(&news),
        };
        let counted = format!("{text}{}", as_before(known));
        // What an earlier line has said is the first to go where there is no room.
        let text = if fits(&counted, columns()) {
            &counted
        } else {
            text
        };
        outcome(what, format_args!("{text}"), self.generations.at_rest());
    }

    /// The same for a program.
    async fn tell(&mut self, event: Event) {
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

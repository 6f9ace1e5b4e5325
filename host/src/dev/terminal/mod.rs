//! What the user sees: a banner once, then one line for each thing that happens.

// Who writes, and in which of two languages.
pub(super) mod json;
pub(super) mod screen;

// The banner, and what needs more than a line.
pub(super) mod banner;
mod progress;
mod refusal;
mod reloaded;
mod retired;

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

use super::{
    mode::Mode,
    observer::{Census, Observer},
    status::Refusals,
};
use banner::Banner;
use progress::{FRAME, FirstBuild};
use reloaded::Proof;
pub(crate) use screen::line;
use screen::{Outcome, outcome, print};

use crate::{
    generation::Generations,
    reload::{Diagnostic, Event, worst},
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
    /// Shown while it runs.
    first_build: Option<FirstBuild>,
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
            first_build: None,
        }
    }

    /// Prints what happens until the host ends. Aborted with it.
    pub(crate) async fn show(
        mut self,
        mut events: mpsc::UnboundedReceiver<Event>,
        mut refused: watch::Receiver<Refusals>,
    ) {
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
                _ = frames.tick(), if self.first_build.is_some() => {
                    self.first_build.iter().for_each(FirstBuild::redraw);
                }
            }
        }
    }

    async fn show_event(&mut self, event: Event) {
        if !matches!(event, Event::Building { .. } | Event::Progress(_)) {
            self.first_build = None;
        }
        match event {
            Event::Building { first, files } => self.begin(first, files),
            Event::Progress(progress) => {
                if let Some(build) = &mut self.first_build {
                    build.is_at(progress);
                }
            }
            Event::Migrating | Event::Loading => {}
            Event::BuildFailed {
                diagnostics,
                serving,
            } => self.show_outcome(
                "not built",
                &diagnostics,
                &format!("{BAD}✗ not built{BAD:#} — {}", still(serving)),
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
                    [] => format!("{DIM}= rebuilt, no change{DIM:#}"),
                    files => format!("{DIM}= {}: rebuilt, no change{DIM:#}", what(files)),
                },
            ),
            Event::Live { last, warnings } => match self.banner.take() {
                Some(banner) => {
                    print(format_args!("{}", rendered(&warnings)));
                    banner.show(&self.db, self.observer.count().await.as_ref(), &last);
                }
                None => {
                    let text = reloaded::line(&last, &self.connections().await, screen::columns());
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
                "{NOTE}↻ {}: the host has changed: restarting it; the socket stays open{NOTE:#}",
                what(&files)
            )),
        }
    }

    fn begin(&mut self, first: bool, files: Vec<String>) {
        if first && screen::is_ours() {
            self.first_build.get_or_insert_with(FirstBuild::begins);
        } else if first {
            line(format_args!("{DIM}building app_lib …{DIM:#}"));
        } else if files == self.files {
            screen::lift(self.generations.at_rest());
        }
        self.files = files;
    }

    /// `of` is what makes it another outcome than the one before, beside the files and the compiler's words.
    fn show_outcome(&self, of: &str, diagnostics: &[Diagnostic], text: &str) {
        let what = Outcome {
            of: format!("{of} {:?}", self.files),
            details: rendered(diagnostics),
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

    /// Which backend, whether it is the one of the reload before, and how many there are.
    async fn proof(&mut self) -> (Option<i32>, Option<bool>, Option<Census>) {
        let census = self.observer.count().await;
        let pool = self.db.status();
        // Of a connection that is open: a new pool has none before the first query, and the one before it is gone.
        let Some(pid) = pool.backend_pid.filter(|_| pool.size > 0) else {
            return (None, None, census);
        };
        let before = self.backend.replace(pid);
        (Some(pid), before.map(|before| before == pid), census)
    }

    async fn connections(&mut self) -> Proof {
        let (backend, same, census) = self.proof().await;
        let count = match census {
            Some(Census {
                backends,
                usable: Some(usable),
                ..
            }) if self.mode.is_demonstration() => format!("{backends} of {usable}"),
            Some(census) => census.backends.to_string(),
            None => "?".to_owned(),
        };
        let same = match same {
            Some(true) => " (same)",
            Some(false) => " (new)",
            None => "",
        };
        let unopened = || format!("{DIM}pg not opened yet{DIM:#}");
        Proof {
            backend: match backend {
                Some(pid) => Some(format!("{DIM}pg{DIM:#} {pid}{same}")),
                None => (!self.mode.is_demonstration()).then(unopened),
            },
            connections: format!("{DIM}conns{DIM:#} {count}"),
        }
    }
}

fn rendered(diagnostics: &[Diagnostic]) -> String {
    let shown: Vec<&str> = worst(diagnostics)
        .map(|one| one.rendered.as_str())
        .collect();
    match diagnostics.len() - shown.len() {
        0 => shown.concat(),
        more => format!("{}and {} more\n\n", shown.concat(), thousands(more)),
    }
}

/// `1,980`
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",")
}

fn still(serving: Option<u64>) -> String {
    serving.map_or_else(
        || "nothing to serve yet; fix it and save again".to_owned(),
        |id| format!("still serving gen {id}"),
    )
}

fn what(files: &[String]) -> String {
    match files {
        [] => "rebuild".to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

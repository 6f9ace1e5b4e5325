//! What the user sees: a banner once, then one line per event. Keys send actions.

// Output as text or as JSON.
mod clock;
mod json;
mod log;
mod screen;

// The banner, and lines of several parts.
mod banner;
mod lines;
mod measure;
mod progress;
mod proof;
mod refusal;
mod reloaded;
mod retired;
mod save;
mod warnings;
mod words;

// What is typed: an answer, keys, and the browser that a key opens.
mod browse;
mod confirm;
mod keys;
mod tty;

// A second terminal.
mod connections;

use std::sync::Arc;

use anstream::adapter::strip_str;
use anstyle::{AnsiColor, Style};
use shared::Db;
use tokio::{sync::mpsc, time::MissedTickBehavior};

use progress::{Building, FRAME};
use warnings::Warnings;

use crate::{
    config::Mode,
    database::Observer,
    events::{Cause, Event},
    generation::Generations,
    services::Services,
};

pub(crate) use self::{
    banner::Banner,
    confirm::confirm,
    connections::connections,
    keys::Keys,
    log::{Clock, Log},
    screen::{is_ours, line, open},
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
    /// What kept the app from answering when that last changed.
    outage: Option<Cause>,
    /// Restores the terminal when dropped, after the last line.
    _keys: Option<Keys>,
}

impl Terminal {
    pub(crate) fn new(banner: Banner, keys: Option<Keys>, services: &Services) -> Self {
        Self {
            mode: services.mode,
            banner: Some(banner),
            db: services.database.db.clone(),
            observer: services.database.observer.clone(),
            generations: services.generations.clone(),
            backend: None,
            files: Vec::new(),
            building: None,
            took: None,
            warnings: Warnings::default(),
            outage: None,
            _keys: keys,
        }
    }

    /// Prints events until there are no more, then gives the terminal back.
    pub(crate) async fn show(mut self, mut events: mpsc::UnboundedReceiver<Event>) {
        let mut frames = tokio::time::interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) if screen::is_json() => self.print_json(event).await,
                    Some(event) => self.show_event(event).await,
                    None => return,
                },
                _ = frames.tick(), if self.building.is_some() => self.show_progress(),
            }
        }
    }

    async fn show_event(&mut self, event: Event) {
        if let Some(text) = lines::line(&event) {
            line(format_args!("{text}"));
        }
        match event {
            Event::Outage { trouble } => self.note_outage(trouble.map(|trouble| trouble.cause)),
            Event::ConnectionRefused(refusal) => {
                refusal::show(&refusal, self.mode, &self.observer).await;
            }
            Event::Retired(retired) => retired::show(&retired),
            event => self.show_save(event).await,
        }
    }

    /// Shows the end of an outage.
    fn note_outage(&mut self, now: Option<Cause>) {
        let before = std::mem::replace(&mut self.outage, now);
        if now.is_none() && before == Some(Cause::Database) {
            line(format_args!("{GOOD}✓{GOOD:#} the database answers"));
        }
    }

    /// Prints the event as JSON.
    async fn print_json(&mut self, event: Event) {
        let last = match &event {
            Event::Live { last, .. } => last,
            Event::ConnectionRefused(refusal) => {
                return refusal::show(refusal, self.mode, &self.observer).await;
            }
            _ => {
                let text = lines::line(&event).map(|text| strip_str(&text).to_string());
                return screen::event(json::WithText { event, text });
            }
        };
        let generation = last.generation;
        let (backend_pid, same_backend, census) = self.proof().await;
        screen::event(json::LiveWithProof {
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

/// Prints the lines of all `events`, for commands that end with them.
pub(crate) async fn print_all(mut events: mpsc::UnboundedReceiver<Event>) {
    while let Some(event) = events.recv().await {
        if let Some(text) = lines::line(&event) {
            line(format_args!("{text}"));
        }
    }
}

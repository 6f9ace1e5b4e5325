//! What the person sees: a banner once, then one line for each thing that happened.

use std::{fmt::Arguments, io::Write, sync::Arc, time::Duration};

use anstyle::{AnsiColor, Style};
use shared::{Db, PoolOwner};
use tokio::sync::{mpsc, watch};

use super::{
    banner::Banner,
    mode::Mode,
    observer::{Census, Observer},
    status::Refusals,
};
use crate::reload::{Diagnostic, Event, Isolation, LastReload, Retired};

pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const BOLD: Style = Style::new().bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const NOTE: Style = AnsiColor::Yellow.on_default();

/// The screen, and what its lines are made of.
pub(crate) struct Terminal {
    /// Shown with the first generation.
    banner: Option<Banner>,
    mode: Mode,
    db: Db,
    observer: Arc<Observer>,
    /// Of the reload before, to say whether it is the same.
    backend: Option<i32>,
}

impl Terminal {
    pub(crate) fn new(banner: Banner, db: Db, observer: Arc<Observer>) -> Self {
        Self {
            mode: banner.mode,
            banner: Some(banner),
            db,
            observer,
            backend: None,
        }
    }

    /// Prints what happens until the host ends. Aborted with it.
    pub(crate) async fn show(
        mut self,
        mut events: mpsc::UnboundedReceiver<Event>,
        mut refused: watch::Receiver<Refusals>,
    ) {
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.show_event(event).await,
                    None => return,
                },
                Ok(()) = refused.changed() => {
                    let refusals = refused.borrow_and_update().clone();
                    self.show_refusal(&refusals).await;
                }
            }
        }
    }

    async fn show_event(&mut self, event: Event) {
        match event {
            Event::Building { first: true } => line(format_args!("{DIM}building app_lib …{DIM:#}")),
            Event::Building { first: false } | Event::Loading => {}
            Event::BuildFailed {
                diagnostics,
                serving,
            } => {
                diagnostics.iter().for_each(show_diagnostic);
                line(format_args!("{BAD}✗ not built{BAD:#} — {}", still(serving)));
            }
            Event::Refused { why, serving } => line(format_args!(
                "{BAD}✗ not loaded:{BAD:#} {why} — {}",
                still(serving)
            )),
            Event::Unchanged { files, warnings } => {
                warnings.iter().for_each(show_diagnostic);
                line(format_args!(
                    "{DIM}= {}: same result, nothing reloaded{DIM:#}",
                    what(&files)
                ));
            }
            Event::Live { last, warnings } => {
                warnings.iter().for_each(show_diagnostic);
                match self.banner.take() {
                    Some(banner) => {
                        banner.show(&self.db, self.observer.count().await.as_ref(), &last);
                    }
                    None => show_reload(&last, &self.connections().await),
                }
            }
            Event::Retired(retired) => show_retired(&retired),
            Event::Restarting { files } => line(format_args!(
                "{NOTE}↻ {}: the host itself has changed; restarting it, the socket stays open{NOTE:#}",
                what(&files)
            )),
        }
    }

    /// The proof on each line: which backend, whether it is the one of the line before, and how many there are.
    async fn connections(&mut self) -> String {
        let count = match self.observer.count().await {
            Some(Census {
                backends,
                usable: Some(usable),
                ..
            }) if self.mode.is_demonstration() => format!("{backends} of {usable}"),
            Some(census) => census.backends.to_string(),
            None => "?".to_owned(),
        };
        let Some(pid) = self.db.status().backend_pid else {
            return format!("{DIM}conns{DIM:#} {count}");
        };
        let same = match self.backend.replace(pid) {
            Some(before) if before == pid => " (same)",
            Some(_) => " (new)",
            None => "",
        };
        format!("{DIM}pg{DIM:#} {pid}{same}  {DIM}conns{DIM:#} {count}")
    }

    /// Once for a flood of them: every request meets the same wall.
    async fn show_refusal(&mut self, refusals: &Refusals) {
        let (1, Some(refusal)) = (refusals.times, &refusals.last) else {
            return;
        };
        line(format_args!(
            "{BAD}✗ PostgreSQL refused a connection{BAD:#} (SQLSTATE {}): {}",
            refusal.sqlstate, refusal.message
        ));
        let open = self
            .observer
            .count()
            .await
            .map_or_else(String::new, |census| {
                format!("{} of its backends are ours. ", census.backends)
            });
        let why = match (self.mode.pool, self.mode.isolation) {
            (PoolOwner::App, Isolation::Off) => {
                "Each generation made a pool of its own, in a static of app_lib, on a runtime that outlives it: nobody closes them.\n            \
                 The cure: give the pool to the host (just dev), or end each generation with all it opened (just leak --isolation on).\n            \
                 Ctrl-C frees them all at once: PostgreSQL was never at fault."
            }
            _ => {
                "Others hold the rest: SELECT application_name, count(*) FROM pg_stat_activity GROUP BY 1 ORDER BY 2 DESC; says who."
            }
        };
        print(format_args!("            {open}{why}\n"));
    }
}

fn show_reload(last: &LastReload, connections: &str) {
    let LastReload {
        generation,
        files,
        build_ms,
        load_ms,
        swap_ms,
        ..
    } = last;
    line(format_args!(
        "{GOOD}✓{GOOD:#} gen {BOLD}{generation}{BOLD:#}  {}  {DIM}build{DIM:#} {build_ms:.0} ms  {DIM}load{DIM:#} {load_ms:.0} ms  {DIM}swap{DIM:#} {swap_ms:.1} ms  {connections}",
        what(files)
    ));
}

fn show_retired(retired: &Retired) {
    let Retired {
        id,
        served,
        took,
        late,
        stuck_threads,
    } = retired;
    for request in late {
        line(format_args!(
            "{NOTE}gen {id}: cut off at the drain limit: {request}{NOTE:#}"
        ));
    }
    if *stuck_threads > 0 {
        line(format_args!(
            "{NOTE}gen {id}: {stuck_threads} threads are still inside app code that does not await; they end when it returns{NOTE:#}"
        ));
    }
    // An ordinary retirement takes milliseconds and is no news.
    if *took > Duration::from_millis(500) {
        line(format_args!(
            "{DIM}gen {id} retired after {:.1} s ({served} requests){DIM:#}",
            took.as_secs_f32()
        ));
    }
}

fn show_diagnostic(diagnostic: &Diagnostic) {
    print(format_args!("{}", diagnostic.rendered));
}

fn still(serving: Option<u64>) -> String {
    serving.map_or_else(
        || "nothing to serve yet; save again when it is mended".to_owned(),
        |id| format!("still serving gen {id}"),
    )
}

fn what(files: &[String]) -> String {
    match files {
        [] => "first build".to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

/// One line with the time before it.
pub(crate) fn line(text: Arguments<'_>) {
    print(format_args!(
        "{DIM}{}{DIM:#}  {text}\n",
        chrono::Local::now().format("%H:%M:%S")
    ));
}

pub(super) fn print(text: Arguments<'_>) {
    // Colours are stripped where they are not wanted: pipes, NO_COLOR. A closed terminal is no reason to end.
    let mut out = anstream::stdout().lock();
    if let Err(error) = out.write_fmt(text).and_then(|()| out.flush()) {
        tracing::debug!("terminal: {error}");
    }
}

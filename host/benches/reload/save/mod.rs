//! How long a save takes to be live, beside the other ways to see what it does.
//!
//! Each edit is done in all ways before the next comes, another way first each time: what else the machine does is
//! unfair to all alike. A first round that is not counted fills the caches, as a user's are.

mod cargo;
mod host;
mod hot_lib;
mod watcher;

// What it comes to.
mod table;

use std::time::Duration;

use clap::ValueEnum;
use futures_util::future::BoxFuture;
use shared::BoxError;

pub(crate) use self::{cargo::CargoAlone, host::Host, hot_lib::HotLib, watcher::Watcher};
use crate::{
    app::{App, Edit, Kind},
    report::{Report, progress},
};

/// The host's name among the ways; the ratios are of its numbers to the others'.
const HOST: &str = "save to live";

/// What the host is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Beside {
    /// The same cargo build, alone
    Cargo,
    /// A watcher that builds one binary and restarts it
    Watcher,
    /// hot-lib-reloader as its documentation has it; with the large app only
    HotLib,
}

/// A way from a save to what it does.
pub(crate) trait Way {
    fn name(&self) -> &'static str;

    /// Gets ready to edit `app`.
    fn install<'a>(&'a mut self, app: &'a App) -> BoxFuture<'a, Result<(), BoxError>>;

    /// Saves `edit` and waits for what it does. `None`: it cannot do such an edit.
    fn save<'a>(&'a mut self, edit: &'a Edit) -> BoxFuture<'a, Result<Option<Taken>, BoxError>>;
}

/// How long one save took, in milliseconds, and where the time went.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) total: f64,
    pub(crate) steps: Vec<(&'static str, f64)>,
    /// Who compiled, if the host says so.
    pub(crate) compiler: Option<String>,
}

pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// One save in one way.
struct Sample {
    kind: Kind,
    way: &'static str,
    taken: Taken,
}

/// Measures `app` in all `ways`, the host's first, and tells the report.
pub(crate) async fn run(
    app: &mut App,
    ways: &mut [&mut dyn Way],
    rounds: usize,
    report: &mut Report,
) -> Result<(), BoxError> {
    for way in ways.iter_mut() {
        eprintln!("{} app, {}: getting ready", app.name, way.name());
        way.install(app).await?;
    }
    let mut samples = Vec::new();
    for round in 1..=rounds + 1 {
        progress(&format!("{} app, round {}/{rounds}", app.name, round - 1));
        for kind in Kind::ALL {
            let edit = app.edit(kind, round)?;
            ways.rotate_left(1);
            for way in ways.iter_mut() {
                let taken = way
                    .save(&edit)
                    .await
                    .map_err(|error| format!("{}, {} {round}: {error}", way.name(), kind.name()))?;
                let Some(taken) = taken.filter(|_| round > 1) else {
                    continue;
                };
                let mut tell = |what: &str, value: f64| {
                    report.csv(&[
                        "save",
                        app.name,
                        kind.name(),
                        &(round - 1).to_string(),
                        way.name(),
                        what,
                        &format!("{value:.3}"),
                    ]);
                };
                tell("total", taken.total);
                taken
                    .steps
                    .iter()
                    .for_each(|(step, took)| tell(step, *took));
                samples.push(Sample {
                    kind,
                    way: way.name(),
                    taken,
                });
            }
        }
    }
    progress("");
    table::print(app, &samples, report)
}

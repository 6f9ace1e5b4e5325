//! A save, from the file to the swapped generation. Read the modules downward; this file is the loop around them.
//!
//! One operation at a time; which one, and what it leaves behind, is the [`State`]'s to say. Nothing of the active
//! generation is touched before its successor is proven.
//! Only this file and `live` change the [`Phase`], and only after what it says is true.

// The part of the loop that brings a build to life.
mod live;

// What is known between two operations.
mod state;

// What a saved file means.
mod saved;

// Which files were saved.
mod watch;

// What the compiler makes of them.
mod build;

// The artifact becomes a library, the library an entry. What all of them keep.
mod kept;
mod load;
mod publish;

// The entry becomes a generation; the one before ends.
mod retire;
mod start;

// What the outside may know.
mod report;

// What all of it is made of.
mod parts;

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use build::{Builder, Outcome, Step};
use live::Made;
use load::Loader;
use saved::sort;
use shared::{BoxError, abi::Entry};
use state::{Next, Order, Rest, State};
use watch::{Changes, Watch, names, since_saved};

pub(crate) use build::{Diagnostic, Kind, Progress, UnderWay, restore_user_environment, worst};
pub(crate) use parts::{Ready, Reload, RestartNeeded, Settings};
pub(crate) use report::{Build, Event, Images, LastReload, Phase, Reloads, Report};
pub(crate) use retire::{Retired, retire};
pub(crate) use start::Isolation;

use crate::generation::Absence;

/// The loop, and what it is made of.
struct Loop {
    reload: Reload,
    watch: Watch,
    builder: Builder,
    loader: Arc<Mutex<Loader>>,
    state: State<Made, Entry>,
    arrival: Arrival,
}

/// The last save.
#[derive(Clone, Copy)]
struct Arrival {
    at: Instant,
    /// How long it took to be seen.
    detect: Option<Duration>,
}

impl Reload {
    /// After `ready`, builds and loads the app, and again for every save, until the host itself must be restarted.
    pub(crate) async fn run(self, ready: Ready) -> Result<RestartNeeded, BoxError> {
        let mut watch = Watch::new(
            &self.root,
            self.settings_saved.clone(),
            self.cleaned.clone(),
        )
        .map_err(|error| format!("cannot watch {}: {error}", self.root.display()))?;
        let loader = Loader::new(self.root.join(publish::LIVE))
            .map_err(|error| format!("cannot use .dev/live: {error}"))?;
        watch.meanwhile(ready).await;
        let mut reloading = Loop {
            builder: Builder::new(&self.root, self.replay),
            reload: self,
            watch,
            loader: Arc::new(Mutex::new(loader)),
            state: State::new(),
            arrival: Arrival {
                at: Instant::now(),
                detect: None,
            },
        };
        reloading.run().await
    }

    fn serving(&self) -> Option<u64> {
        self.generations.active().map(|generation| generation.id())
    }

    /// How far the build is, and at its end nothing.
    fn progress(&self, now: Option<Progress>) {
        self.report
            .send_modify(|report| report.build.progress = now);
        if let Some(now) = now {
            drop(self.events.send(Event::Progress(now))); // nobody listens once the host has ended
        }
    }

    fn tell(&self, phase: Phase, event: Event) {
        self.report.send_modify(|report| report.phase = phase);
        drop(self.events.send(event)); // nobody listens once the host has ended
    }

    fn under_way(&self, build: Option<UnderWay>) {
        self.report
            .send_modify(|report| report.build.under_way = build);
    }
}

impl Loop {
    async fn run(&mut self) -> Result<RestartNeeded, BoxError> {
        loop {
            let (root, inputs) = (&self.reload.root, self.builder.inputs());
            let next = self
                .state
                .next(|changes, certain| sort(root, inputs, changes, certain));
            match next {
                Next::Refresh(files) => self.refresh(&files),
                Next::Migrate => self.migrate().await,
                Next::Build(order) => self.build(order).await,
                Next::Restart(made) => {
                    if let Some(needed) = self.restart(made) {
                        return Ok(needed);
                    }
                }
                Next::Load(made) => self.load(made).await?,
                Next::Start { made, entry } => self.start(made, entry).await,
                Next::Wait => {
                    if let Some(images) = self.wait().await {
                        return Ok(self.reload.restart(Vec::new(), Some(images)));
                    }
                }
            }
        }
    }

    /// Until something is saved, or the code that is kept is too much.
    async fn wait(&mut self) -> Option<Images> {
        let Self {
            reload,
            watch,
            builder,
            ..
        } = self;
        let rest = match self.state.rest() {
            Rest::Unbuilt => Phase::Starting,
            Rest::DoesNotCompile => Phase::BuildFailed,
            Rest::Refused => Phase::LoadFailed,
            Rest::Live => Phase::Active,
        };
        let changes = loop {
            let replays = builder.is_warm();
            reload.report.send_if_modified(|report| {
                let before = (report.phase, report.replays);
                (report.phase, report.replays) = (rest, replays);
                before != (rest, replays)
            });
            tokio::select! {
                biased;
                changes = watch.next(&reload.rebuild) => break changes,
                images = reload.outgrown() => return Some(images),
                () = builder.warm_up() => {}
            }
        };
        self.saved(changes);
        None
    }

    fn saved(&mut self, changes: Changes) {
        self.arrival = Arrival {
            at: Instant::now(),
            detect: since_saved(&self.reload.root, &changes),
        };
        self.state.saved(changes);
    }

    fn refresh(&self, files: &Changes) {
        let report = &self.reload.report;
        report.send_modify(|report| report.revision += 1);
        let files = names(files);
        drop(self.reload.events.send(Event::Refreshed { files })); // nobody listens once the host has ended
    }

    async fn migrate(&mut self) {
        self.reload.tell(Phase::Migrating, Event::Migrating);
        let work = (self.reload.follow_schema)();
        self.watch.meanwhile(work).await;
    }

    /// Builds, unless a newer save cancels that: it is built with the ones before then.
    async fn build(&mut self, order: Order) {
        let Arrival { at, detect } = self.arrival;
        let (wait, files) = (at.elapsed(), names(&order.changes));
        // cargo is asked if the changes are not known.
        let known = if order.asked {
            &Changes::new()
        } else {
            &order.changes
        };
        let Self {
            reload,
            watch,
            builder,
            state,
            arrival,
            ..
        } = self;
        builder.look(known);
        watch.follow(builder.packages(), &builder.inputs().sources);
        let inputs = builder.inputs().clone();
        reload.under_way(Some(builder.estimate(known)));
        let first = reload.serving().is_none();
        let building = Event::Building {
            first,
            files: files.clone(),
        };
        reload.tell(Phase::Building, building);
        let (elsewhere, since) = (AtomicBool::new(false), Instant::now());
        let outcome = {
            let step = |step| match step {
                Step::At(now) => reload.progress(Some(now)),
                Step::Is(build) => {
                    reload.under_way(Some(build));
                    if build.kind == Kind::Dependencies {
                        elsewhere.store(true, Relaxed);
                        drop(reload.events.send(Event::Dependencies)); // nobody listens once the host has ended
                    }
                }
            };
            let mut building = pin!(builder.build(known, step));
            loop {
                tokio::select! {
                    biased; // what has ended is not cancelled
                    outcome = &mut building => break Some(outcome),
                    changes = watch.next(&reload.rebuild) => {
                        *arrival = Arrival { at: Instant::now(), detect: since_saved(&reload.root, &changes) };
                        state.saved(changes);
                        let sort = |changes, certain| sort(&reload.root, &inputs, changes, certain);
                        if state.may_cancel(elsewhere.load(Relaxed), sort) {
                            break None;
                        }
                    }
                }
            }
        };
        let build = since.elapsed();
        watch.follow(builder.packages(), &builder.inputs().sources);
        reload.progress(None);
        reload.under_way(None);
        match outcome {
            None => state.build_cancelled(order),
            Some(Outcome::Failed { diagnostics }) => {
                state.build_failed();
                reload.build_failed(diagnostics);
            }
            Some(Outcome::Built {
                artifact,
                warnings,
                by,
            }) => {
                let made = Made {
                    artifact,
                    warnings,
                    files,
                    by,
                    detect,
                    wait,
                    build,
                    load: Duration::ZERO,
                };
                if reload.image.has_changed() {
                    state.host_built(made);
                } else {
                    state.built(made);
                }
            }
        }
    }
}

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
use live::BuiltApp;
use load::Loader;
use saved::classify;
use shared::{BoxError, abi::Entry};
use state::{BuildRequest, IdleState, Next, State};
use watch::{Changes, Watch, names, time_since_save};

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
    state: State<BuiltApp, Entry>,
    last_save: LastSave,
}

/// The last save.
#[derive(Clone, Copy)]
struct LastSave {
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
        watch.collect_during(ready).await;
        let mut reloading = Loop {
            builder: Builder::new(&self.root, self.replay),
            reload: self,
            watch,
            loader: Arc::new(Mutex::new(loader)),
            state: State::new(),
            last_save: LastSave {
                at: Instant::now(),
                detect: None,
            },
        };
        reloading.run().await
    }

    fn active_id(&self) -> Option<u64> {
        self.generations.active().map(|generation| generation.id())
    }

    /// How far the build is, and at its end nothing.
    fn set_progress(&self, now: Option<Progress>) {
        self.report
            .send_modify(|report| report.build.progress = now);
        if let Some(now) = now {
            drop(self.events.send(Event::Progress(now))); // nobody listens once the host has ended
        }
    }

    fn set_phase(&self, phase: Phase, event: Event) {
        self.report.send_modify(|report| report.phase = phase);
        drop(self.events.send(event)); // nobody listens once the host has ended
    }

    fn set_under_way(&self, build: Option<UnderWay>) {
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
                .next(|changes, inputs_known| classify(root, inputs, changes, inputs_known));
            match next {
                Next::Refresh(files) => self.refresh(&files),
                Next::Migrate => self.migrate().await,
                Next::Build(request) => self.build(request).await,
                Next::Restart(built) => {
                    if let Some(needed) = self.restart(built) {
                        return Ok(needed);
                    }
                }
                Next::Load(built) => self.load(built).await?,
                Next::Start { built, entry } => self.start(built, entry).await,
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
        let rest = match self.state.idle_state() {
            IdleState::Unbuilt => Phase::Starting,
            IdleState::DoesNotCompile => Phase::BuildFailed,
            IdleState::Refused => Phase::LoadFailed,
            IdleState::Live => Phase::Active,
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
                images = reload.over_budget() => return Some(images),
                () = builder.warm_up() => {}
            }
        };
        self.saved(changes);
        None
    }

    fn saved(&mut self, changes: Changes) {
        self.last_save = LastSave {
            at: Instant::now(),
            detect: time_since_save(&self.reload.root, &changes),
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
        self.reload.set_phase(Phase::Migrating, Event::Migrating);
        let work = (self.reload.update_schema)();
        self.watch.collect_during(work).await;
    }

    /// Builds, unless a newer save cancels that: it is built with the ones before then.
    async fn build(&mut self, request: BuildRequest) {
        let LastSave { at, detect } = self.last_save;
        let (wait, files) = (at.elapsed(), names(&request.changes));
        // cargo is asked if the changes are not known.
        let known = if request.by_cargo {
            &Changes::new()
        } else {
            &request.changes
        };
        let Self {
            reload,
            watch,
            builder,
            state,
            last_save,
            ..
        } = self;
        builder.look_for_packages(known);
        watch.set_inputs(builder.packages(), &builder.inputs().sources);
        let inputs = builder.inputs().clone();
        reload.set_under_way(Some(builder.estimate(known)));
        let first = reload.active_id().is_none();
        let building = Event::Building {
            first,
            files: files.clone(),
        };
        reload.set_phase(Phase::Building, building);
        let (beyond_app, since) = (AtomicBool::new(false), Instant::now());
        let outcome = {
            let step = |step| match step {
                Step::Progress(now) => reload.set_progress(Some(now)),
                Step::Estimate(build) => {
                    reload.set_under_way(Some(build));
                    if build.kind == Kind::Dependencies {
                        beyond_app.store(true, Relaxed);
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
                        *last_save = LastSave { at: Instant::now(), detect: time_since_save(&reload.root, &changes) };
                        state.saved(changes);
                        let classify = |changes, inputs_known| classify(&reload.root, &inputs, changes, inputs_known);
                        if state.may_cancel(beyond_app.load(Relaxed), classify) {
                            break None;
                        }
                    }
                }
            }
        };
        let build = since.elapsed();
        watch.set_inputs(builder.packages(), &builder.inputs().sources);
        reload.set_progress(None);
        reload.set_under_way(None);
        match outcome {
            None => state.build_cancelled(request),
            Some(Outcome::Failed { diagnostics }) => {
                state.build_failed();
                reload.build_failed(diagnostics);
            }
            Some(Outcome::Built {
                artifact,
                warnings,
                by,
            }) => {
                let built = BuiltApp {
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
                    state.host_built(built);
                } else {
                    state.built(built);
                }
            }
        }
    }
}

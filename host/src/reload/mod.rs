//! The path of a save, from the changed file to the swapped generation. Read the modules from top to bottom; this file
//! is the loop around them.
//!
//! The loop runs one operation at a time; [`LoopState`] decides which one is next. The active generation is left alone
//! until its successor has started.
//! Only this file, `idle` and `live` change the [`Phase`], and only once the new value is true.

// The rest of the loop: waits while nothing is to be done, and takes a finished build live.
mod idle;
mod live;

// What the loop remembers between operations.
mod state;

// What a saved file means.
mod saved;

// Which files were saved.
mod watch;

// Compiles them.
mod build;

// Publishes the artifact, loads it as a library, and measures the memory that loaded libraries keep.
mod kept;
mod load;
mod once;
mod publish;

// Starts the new generation and retires the old one.
mod retire;
mod start;

// What the caller passes in.
mod parts;

// How one asks whether everything saved so far is dealt with; `.env`, which the main loop deals with.
mod cookies;
mod settings_saves;

// Whether the host itself has changed.
mod image;

// Whether files have changed.
mod file_stamps;

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use build::{BuildOutcome, Builder, Step};
use live::BuiltApp;
use load::Loader;
use saved::classify;
use shared::{BoxError, abi::Entry};
use state::{BuildRequest, LoopState, Next};
use watch::{Changes, LastSave, Watch, names};

pub(crate) use build::group::{Group, command};
pub(crate) use cookies::Cookies;
pub(crate) use image::Image;
pub(crate) use parts::{Notifiers, Ready, Reload, RestartNeeded};
pub(crate) use retire::retire;

use crate::{
    events::{BuildKind, Event, Phase, Progress, UnderWay},
    generation::Absence,
};

/// The reload loop.
struct Loop {
    reload: Reload,
    watch: Watch,
    builder: Builder,
    loader: Arc<Mutex<Loader>>,
    state: LoopState<BuiltApp, Entry>,
    last_save: LastSave,
}

impl Reload {
    /// Waits for `ready`, then builds and loads the app, again after every save, until the host must restart.
    pub(crate) async fn run(self, ready: Ready) -> Result<RestartNeeded, BoxError> {
        let mut watch = Watch::new(
            &self.services.project,
            self.notifiers.settings.clone(),
            self.notifiers.cleaned.clone(),
            self.cookies.clone(),
        )
        .map_err(|error| format!("cannot watch {}: {error}", self.root().display()))?;
        let loader = Loader::new(self.services.project.app(), self.root().join(publish::LIVE))
            .map_err(|error| format!("cannot use .dev/live: {error}"))?;
        watch.collect_during(ready).await;
        let mut reloading = Loop {
            builder: Builder::new(self.services.project.clone(), self.replay),
            reload: self,
            watch,
            loader: Arc::new(Mutex::new(loader)),
            state: LoopState::new(),
            last_save: LastSave {
                at: Instant::now(),
                detect: None,
            },
        };
        reloading.run().await
    }

    fn active_id(&self) -> Option<u64> {
        self.services
            .generations
            .active()
            .map(|generation| generation.id())
    }

    /// Publishes the progress of the running build; `None` once it has ended.
    fn set_progress(&self, now: Option<Progress>) {
        self.report
            .send_modify(|report| report.build.progress = now);
        if let Some(now) = now {
            self.services.events.emit(Event::Progress(now));
        }
    }

    fn set_phase(&self, phase: Phase, event: Event) {
        self.report.send_modify(|report| report.phase = phase);
        self.services.events.emit(event);
    }

    fn set_under_way(&self, build: Option<UnderWay>) {
        self.report
            .send_modify(|report| report.build.under_way = build);
    }
}

impl Loop {
    async fn run(&mut self) -> Result<RestartNeeded, BoxError> {
        loop {
            let (project, inputs) = (&self.reload.services.project, self.builder.inputs());
            let next = self
                .state
                .next(|changes, inputs_known| classify(project, inputs, changes, inputs_known));
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

    fn saved(&mut self, changes: Changes) {
        self.last_save = LastSave::of(self.reload.root(), &changes);
        self.state.saved(changes);
    }

    fn refresh(&self, files: &Changes) {
        let report = &self.reload.report;
        report.send_modify(|report| report.files.save(files));
        let files = names(files);
        self.reload.services.events.emit(Event::Refreshed { files });
    }

    async fn migrate(&mut self) {
        self.reload.set_phase(Phase::Migrating, Event::Migrating);
        let schema = self.reload.services.database.schema.clone();
        self.watch
            .collect_during(async move { schema.sync().await })
            .await;
    }

    /// Builds. A newer save may cancel the build; the next one then includes both sets of changes.
    async fn build(&mut self, request: BuildRequest) {
        let LastSave { at, detect } = self.last_save;
        let (wait, files) = (at.elapsed(), names(&request.changes));
        // No changes means "unknown", and an unknown change is built by cargo.
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
        watch.set_inputs(builder.packages(), builder.inputs());
        let inputs = builder.inputs().clone();
        let estimate = builder.estimate(known);
        reload.set_under_way(Some(estimate));
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
                    if build.kind == BuildKind::Dependencies {
                        beyond_app.store(true, Relaxed);
                        reload.services.events.emit(Event::Dependencies);
                    }
                }
            };
            let mut building = pin!(builder.build(known, estimate, step));
            loop {
                tokio::select! {
                    biased; // never cancel a build that has already finished
                    outcome = &mut building => break Some(outcome),
                    changes = watch.next(&reload.notifiers.rebuild) => {
                        let Some(changes) = changes else { continue };
                        *last_save = LastSave::of(reload.root(), &changes);
                        state.saved(changes);
                        let classify = |changes, inputs_known| classify(&reload.services.project, &inputs, changes, inputs_known);
                        if state.may_cancel(beyond_app.load(Relaxed), classify) {
                            break None;
                        }
                    }
                }
            }
        };
        let build = since.elapsed();
        watch.set_inputs(builder.packages(), builder.inputs());
        reload.set_progress(None);
        reload.set_under_way(None);
        match outcome {
            None => state.build_cancelled(request),
            Some(BuildOutcome::Failed { diagnostics }) => {
                state.build_failed();
                reload.build_failed(diagnostics);
            }
            Some(BuildOutcome::Built {
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

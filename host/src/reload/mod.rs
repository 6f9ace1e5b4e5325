//! A save, from the file to the swapped generation. Read the modules downward; this file is the loop around them.
//!
//! One operation at a time: saves that arrive during a build cancel it and are built together, those that arrive
//! during a load wait. Nothing of the active generation is touched before its successor is proven.
//! Only this file changes the [`Phase`], and only after what it says is true.

// Which files were saved.
mod watch;

// What the compiler makes of them.
mod build;

// The artifact becomes a library, the library an entry.
mod load;
mod publish;

// The entry becomes a generation; the one before ends.
mod retire;
mod start;

// What the outside may know.
mod report;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use build::{BuildError, Outcome};
use load::Loader;
use shared::{AppState, BoxError, Db, PoolOwner, abi::Entry, db::DbConfig, env::Env};
use start::StartError;
use tokio::sync::{Notify, mpsc, watch as published};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use watch::{Changes, Watch};

pub(crate) use build::{Diagnostic, as_the_person_had_it};
pub(crate) use report::{Build, Event, LastReload, Phase, Reloads, Report};
pub(crate) use retire::{Retired, retire};
pub(crate) use start::Isolation;

use crate::{
    generation::{Absence, Generations},
    restart::Image,
};

/// Everything a reload needs.
pub(crate) struct Reload {
    pub(crate) root: PathBuf,
    pub(crate) db: Db,
    /// As they are now: each generation gets those of its start.
    pub(crate) settings: published::Receiver<Settings>,
    /// Rung when the file they come from is saved.
    pub(crate) settings_saved: Arc<Notify>,
    pub(crate) pool_owner: PoolOwner,
    pub(crate) isolation: Isolation,
    pub(crate) generations: Arc<Generations>,
    /// The host's own files, as they were when this process started.
    pub(crate) image: Image,
    /// Id of the generation made last; goes on counting over restarts.
    pub(crate) last_id: u64,
    pub(crate) report: published::Sender<Report>,
    pub(crate) events: mpsc::UnboundedSender<Event>,
    /// A library that is loaded and whose `app()` failed. Saved again unchanged, it is the start that is tried again.
    pub(crate) not_started: Option<Entry>,
    /// Why the library built last is not live. Built again to the same bytes, it still is not.
    pub(crate) refusal: Option<String>,
    /// Asked before the host replaces itself: what its new image would stumble over must be mended first.
    pub(crate) may_restart: Box<dyn Fn() -> Result<(), BoxError> + Send + Sync>,
    /// Generations on their way out, so that the end of the process can wait for them.
    pub(crate) retiring: TaskTracker,
}

/// What a generation is told at its start.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) env: Arc<Env>,
    /// What `db` is made of; the app's own pools, in the leak modes, get a name each.
    pub(crate) db_config: DbConfig,
}

/// The host itself has changed on disk: it must be replaced by its new build.
pub(crate) struct RestartNeeded;

impl Reload {
    /// Builds and loads the app, then does it again for every save, until the host itself must be restarted.
    pub(crate) async fn run(mut self) -> Result<RestartNeeded, BoxError> {
        let mut watch = Watch::new(&self.root)
            .map_err(|error| format!("cannot watch {}: {error}", self.root.display()))?;
        let mut loader = Loader::new(self.root.join(".dev/live"))
            .map_err(|error| format!("cannot use .dev/live: {error}"))?;
        let mut changes = Changes::new(); // the first build follows no save
        loop {
            let since = Instant::now();
            let outcome = self.build(&mut watch, &mut changes).await;
            let built = since.elapsed();
            let files: Vec<String> = std::mem::take(&mut changes)
                .iter()
                .map(|file| file.display().to_string())
                .collect();
            match outcome {
                Ok(Outcome::Built { artifact, warnings }) => {
                    if self.image.has_changed() {
                        match (self.may_restart)() {
                            Ok(()) => {
                                self.tell(Phase::Restarting, Event::Restarting { files });
                                return Ok(RestartNeeded);
                            }
                            Err(error) => self.refused(format!(
                                "the host has changed and cannot restart yet: {error}"
                            )),
                        }
                    } else {
                        loader = self
                            .go_live(loader, artifact, warnings, files, since, built)
                            .await?;
                    }
                }
                Ok(Outcome::Failed { diagnostics }) => self.build_failed(diagnostics),
                Err(error) => self.cannot_build(&error),
            }
            changes = watch.next(&self.settings_saved).await;
        }
    }

    /// Builds; a newer save cancels the build in flight and is built with the ones before.
    async fn build(&self, watch: &mut Watch, changes: &mut Changes) -> Result<Outcome, BuildError> {
        loop {
            self.tell(
                Phase::Building,
                Event::Building {
                    first: self.generations.active().is_none(),
                },
            );
            tokio::select! {
                outcome = build::build(&self.root) => return outcome,
                more = watch.next(&self.settings_saved) => changes.extend(more),
            }
        }
    }

    async fn go_live(
        &mut self,
        mut loader: Loader,
        artifact: PathBuf,
        warnings: Vec<Diagnostic>,
        files: Vec<String>,
        since: Instant,
        built: Duration,
    ) -> Result<Loader, BoxError> {
        self.tell(Phase::Loading, Event::Loading);
        // dlopen reads files and runs initialisers: not on a thread that serves.
        let (loader, loaded) = tokio::task::spawn_blocking(move || {
            let loaded = loader.load(&artifact);
            (loader, loaded)
        })
        .await?;
        let entry = match loaded {
            Ok(Some(entry)) => Some(entry),
            Ok(None) => self.not_started.take(),
            Err(error) => {
                self.not_started = None;
                self.refused(error.to_string());
                return Ok(loader);
            }
        };
        match entry {
            // The same bytes as before, and they were refused before.
            None if self.refusal.is_some() => {
                self.refused(self.refusal.clone().unwrap_or_default())
            }
            None => {
                self.report.send_modify(|report| {
                    report.build_succeeded(warnings.clone());
                    report.unchanged();
                });
                self.tell(self.resting_phase(), Event::Unchanged { files, warnings });
            }
            Some(entry) => match self.start(entry).await {
                Ok(swap) => {
                    let total = since.elapsed();
                    let last = LastReload::new(
                        self.last_id,
                        files,
                        built,
                        total - built - swap,
                        swap,
                        total,
                    );
                    self.report.send_modify(|report| {
                        report.build_succeeded(warnings.clone());
                        report.live(last.clone());
                    });
                    self.tell(Phase::Active, Event::Live { last, warnings });
                }
                Err(error) => {
                    self.not_started = Some(entry);
                    self.refused(error.to_string());
                }
            },
        }
        Ok(loader)
    }

    /// Starts the generation behind `entry` and makes it active. Returns what the swap alone took.
    async fn start(&mut self, entry: Entry) -> Result<Duration, StartError> {
        let id = self.last_id + 1;
        let Settings { env, db_config } = self.settings.borrow().clone();
        let state = AppState {
            db: self.db.clone(),
            generation: id,
            shutdown: CancellationToken::new(),
            env: env.clone(),
            pool_owner: self.pool_owner,
            db_config: DbConfig {
                application_name: format!("{}:gen-{id}", db_config.application_name),
                ..db_config
            },
        };
        let limit = env.app_start_timeout;
        let generation = start::start(entry, state, self.isolation, limit).await?;
        self.last_id = id;
        self.refusal = None;
        let since = Instant::now();
        let before = self.generations.swap(generation);
        let swap = since.elapsed();
        // Statements of the code before stay prepared for the life of the connection otherwise.
        self.db.forget_statements();
        if let Some(before) = before {
            let (drain, events) = (env.drain_timeout, self.events.clone());
            self.retiring.spawn(async move {
                let retired = retire(before, drain).await;
                drop(events.send(Event::Retired(retired))); // nobody listens once the host has ended
            });
        }
        Ok(swap)
    }

    fn build_failed(&self, diagnostics: Vec<Diagnostic>) {
        let serving = self.serving();
        if serving.is_none() {
            self.generations.absent(Absence::Failed(
                "it does not compile; the terminal says why".into(),
            ));
        }
        self.report
            .send_modify(|report| report.build_failed(diagnostics.clone()));
        self.tell(
            Phase::BuildFailed,
            Event::BuildFailed {
                diagnostics,
                serving,
            },
        );
    }

    fn cannot_build(&self, error: &BuildError) {
        let diagnostic = Diagnostic {
            level: "error",
            message: error.to_string(),
            rendered: error.to_string(),
            file: None,
            line: None,
            column: None,
        };
        self.build_failed(vec![diagnostic]);
    }

    fn refused(&mut self, why: String) {
        let serving = self.serving();
        if serving.is_none() {
            self.generations.absent(Absence::Failed(why.clone()));
        }
        self.report
            .send_modify(|report| report.refused(why.clone()));
        self.refusal = Some(why.clone());
        self.tell(Phase::LoadFailed, Event::Refused { why, serving });
    }

    /// Where the cycle rests when a save has changed nothing.
    fn resting_phase(&self) -> Phase {
        if self.generations.active().is_some() {
            Phase::Active
        } else {
            Phase::LoadFailed
        }
    }

    fn serving(&self) -> Option<u64> {
        self.generations.active().map(|generation| generation.id())
    }

    fn tell(&self, phase: Phase, event: Event) {
        self.report.send_modify(|report| report.phase = phase);
        drop(self.events.send(event)); // nobody listens once the host has ended
    }
}

//! A save, from the file to the swapped generation. Read the modules downward; this file is the loop around them.
//!
//! One operation at a time: saves that arrive during a build cancel it and are built together, those that arrive
//! during a load wait. Nothing of the active generation is touched before its successor is proven.
//! Only this file changes the [`Phase`], and only after what it says is true.

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
    path::PathBuf,
    time::{Duration, Instant},
};

use build::{Builder, Compiler, Outcome};
use load::Loader;
use report::Times;
use shared::{AppState, BoxError, abi::Entry, db::DbConfig};
use start::StartError;
use tokio_util::sync::CancellationToken;
use watch::{Changes, FOLDERS, MIGRATIONS, Watch, names, since_saved, touches_schema};

pub(crate) use build::{Diagnostic, Progress, as_the_person_had_it, worst};
pub(crate) use parts::{Reload, RestartNeeded, Settings};
pub(crate) use report::{Build, Event, Images, LastReload, Phase, Reloads, Report};
pub(crate) use retire::{Retired, retire};
pub(crate) use start::Isolation;

use crate::generation::Absence;

impl Reload {
    /// Builds and loads the app, then does it again for every save, until the host itself must be restarted.
    pub(crate) async fn run(mut self) -> Result<RestartNeeded, BoxError> {
        let mut watch = Watch::new(&self.root)
            .map_err(|error| format!("cannot watch {}: {error}", self.root.display()))?;
        let mut loader = Loader::new(self.root.join(publish::LIVE))
            .map_err(|error| format!("cannot use .dev/live: {error}"))?;
        let mut builder = Builder::new(&self.root, &FOLDERS, self.replay);
        let mut changes = Changes::new(); // the first build follows no save
        loop {
            let detect = since_saved(&self.root, &changes);
            let since = Instant::now();
            let outcome = self.build(&mut builder, &mut watch, &mut changes).await;
            let build = since.elapsed();
            watch.follow(builder.sources());
            let files = names(&std::mem::take(&mut changes));
            match outcome {
                Outcome::Built {
                    artifact,
                    warnings,
                    by,
                } => {
                    if self.image.has_changed() {
                        let Err(error) = (self.may_restart)() else {
                            return Ok(self.restart(files, None));
                        };
                        self.refused(format!(
                            "the host has changed and cannot restart yet: {error}"
                        ));
                    } else {
                        loader = self
                            .go_live(loader, artifact, warnings, files, (detect, build, by))
                            .await?;
                    }
                }
                Outcome::Failed { diagnostics } => self.build_failed(diagnostics),
            }
            changes = loop {
                let replays = builder.is_warm();
                (self.report).send_if_modified(|report| {
                    std::mem::replace(&mut report.replays, replays) != replays
                });
                tokio::select! {
                    biased;
                    changes = watch.next(&self.settings_saved, &self.rebuild) => break changes,
                    images = self.outgrown() => return Ok(self.restart(Vec::new(), Some(images))),
                    () = builder.warm_up() => {}
                }
            };
        }
    }

    fn restart(&self, files: Vec<String>, outgrown: Option<Images>) -> RestartNeeded {
        self.tell(Phase::Restarting, Event::Restarting { files, outgrown });
        RestartNeeded { outgrown }
    }

    /// Builds; a newer save cancels the build in flight and is built with the ones before.
    async fn build(
        &self,
        builder: &mut Builder,
        watch: &mut Watch,
        changes: &mut Changes,
    ) -> Outcome {
        let mut migrate = touches_schema(changes);
        loop {
            if std::mem::take(&mut migrate) {
                self.tell(Phase::Migrating, Event::Migrating);
                (self.follow_schema)().await;
            }
            let (first, files) = (self.generations.active().is_none(), names(changes));
            self.tell(Phase::Building, Event::Building { first, files });
            let outcome = tokio::select! {
                outcome = builder.build(changes, |now| self.progress(Some(now))) => Some(outcome),
                more = watch.next(&self.settings_saved, &self.rebuild) => {
                    migrate = touches_schema(&more);
                    changes.extend(more);
                    None
                }
            };
            self.progress(None);
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }

    async fn go_live(
        &mut self,
        mut loader: Loader,
        artifact: PathBuf,
        warnings: Vec<Diagnostic>,
        files: Vec<String>,
        (detect, build, by): (Option<Duration>, Duration, Compiler),
    ) -> Result<Loader, BoxError> {
        self.tell(Phase::Loading, Event::Loading);
        let since = Instant::now();
        let (environment, again, files) = self.environment(files);
        // dlopen reads files and runs initialisers: not on a thread that serves.
        let (loader, loaded) = tokio::task::spawn_blocking(move || {
            let loaded = loader.load(&artifact, again);
            (loader, loaded)
        })
        .await?;
        let entry = match loaded {
            Ok(Some(entry)) => {
                self.environment = environment;
                Some(entry)
            }
            Ok(None) => self.not_started.take(),
            Err(error) => {
                self.not_started = None;
                self.refused(error.to_string());
                return Ok(loader);
            }
        };
        let first = self.serving().is_none();
        match entry {
            // The same bytes as before, and they were refused before.
            None if self.refusal.is_some() => {
                self.refused(self.refusal.clone().unwrap_or_default())
            }
            None => {
                self.report.send_modify(|report| {
                    report.build_succeeded(&warnings);
                    report.unchanged();
                });
                // A migration was told when it ran; that the app is the same is no news then.
                let news =
                    files.is_empty() || !files.iter().all(|file| file.starts_with(MIGRATIONS));
                self.rest(news.then_some(Event::Unchanged { files, warnings }));
            }
            Some(entry) => match self.start(entry).await {
                Ok(swap) => {
                    let times = Times {
                        detect,
                        build,
                        load: since.elapsed().saturating_sub(swap),
                        swap,
                    };
                    let last = LastReload::new((self.last_id, first), files, by, times);
                    self.report.send_modify(|report| {
                        report.build_succeeded(&warnings);
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
        let Settings { env, db_config, .. } = self.settings.borrow().clone();
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
        // What the code before has left in the session ends with it. If it is at work there now, when it is done.
        self.db.reset_session().await;
        let since = Instant::now();
        let before = self.generations.swap(generation);
        let swap = since.elapsed();
        // Statements of the code before stay prepared for the life of the connection otherwise.
        self.db.forget_statements();
        if let Some(before) = before {
            let (drain, events, db) = (env.drain_timeout, self.events.clone(), self.db.clone());
            let generations = self.generations.clone();
            self.retiring.spawn(async move {
                let retired = retire(&generations, before, drain).await;
                db.reset_session().await;
                drop(events.send(Event::Retired(retired))); // nobody listens once the host has ended
            });
        }
        Ok(swap)
    }

    fn build_failed(&self, diagnostics: Vec<Diagnostic>) {
        let serving = self.serving();
        if serving.is_none() {
            self.generations.absent(Absence::Failed(
                "it does not compile; see the terminal".into(),
            ));
        }
        self.report
            .send_modify(|report| report.build_failed(&diagnostics));
        self.tell(
            Phase::BuildFailed,
            Event::BuildFailed {
                diagnostics,
                serving,
            },
        );
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

    /// A save has changed nothing.
    fn rest(&self, news: Option<Event>) {
        let phase = if self.generations.active().is_some() {
            Phase::Active
        } else {
            Phase::LoadFailed
        };
        self.report.send_modify(|report| report.phase = phase);
        drop(news.map(|news| self.events.send(news))); // nobody listens once the host has ended
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
}

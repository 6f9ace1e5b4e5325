//! Takes a build live: loads and starts the library, or restarts the host. Reports why if it cannot.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use shared::{AppState, BoxError, abi::Entry, db::DbConfig};
use tokio_util::sync::CancellationToken;

use super::{
    Absence, Loop, Reload, RestartNeeded,
    load::LoadError,
    retire::retire,
    start::{self, StartError},
    state::{Loaded, Verdict},
    watch::SETTINGS,
};
use crate::{
    config::Settings,
    database::Endpoint,
    events::{Compiler, Diagnostic, Event, Images, LastReload, Phase, Times},
};

/// A finished build.
#[derive(Clone)]
pub(super) struct BuiltApp {
    pub(super) artifact: PathBuf,
    pub(super) warnings: Vec<Diagnostic>,
    /// The saved files that caused it.
    pub(super) files: Vec<String>,
    pub(super) by: Compiler,
    pub(super) detect: Option<Duration>,
    pub(super) wait: Duration,
    pub(super) build: Duration,
    /// The time spent loading so far.
    pub(super) load: Duration,
}

impl Loop {
    pub(super) async fn load(&mut self, mut built: BuiltApp) -> Result<(), BoxError> {
        self.reload.set_phase(Phase::Loading, Event::Loading);
        let (environment, again, files) = self.reload.environment(built.files);
        built.files = files;
        let (since, loader, artifact) =
            (Instant::now(), self.loader.clone(), built.artifact.clone());
        // dlopen reads files and runs initialisers, which would block a runtime thread.
        let loaded = tokio::task::spawn_blocking(move || {
            let mut loader = loader.lock().unwrap_or_else(PoisonError::into_inner);
            loader.load(&artifact, again)
        })
        .await?;
        built.load = since.elapsed();
        let loaded = match loaded {
            Ok(Some(entry)) => {
                self.reload.environment = environment;
                Loaded::New(entry)
            }
            Ok(None) => Loaded::Same,
            Err(error @ (LoadError::Publish(_) | LoadError::Open(_))) => {
                Loaded::NotOpened(error.to_string())
            }
            Err(error) => Loaded::Refused(error.to_string()),
        };
        match self.state.loaded(built, loaded) {
            Verdict::Starts => {}
            Verdict::Refused(why) => self.reload.refused(why),
            Verdict::Unchanged(BuiltApp {
                files, warnings, ..
            }) => {
                self.reload.report.send_modify(|report| {
                    report.build_succeeded(&warnings);
                    report.unchanged();
                });
                let news = Event::Unchanged { files, warnings };
                self.reload.services.events.emit(news);
            }
        }
        Ok(())
    }

    /// Starts the generation behind `entry` and makes it active.
    pub(super) async fn start(&mut self, built: BuiltApp, entry: Entry) {
        // `load` has set the phase already, unless this is a retry.
        if self.reload.report.borrow().phase != Phase::Loading {
            self.reload.set_phase(Phase::Loading, Event::Loading);
        }
        let since = Instant::now();
        let first = self.reload.active_id().is_none();
        match self.reload.start(entry).await {
            Ok(swap) => {
                self.state.started();
                let times = Times {
                    detect: built.detect,
                    wait: built.wait,
                    build: built.build,
                    load: built.load + since.elapsed().saturating_sub(swap),
                    swap,
                };
                self.reload.live(first, built, times);
            }
            Err(error) => self.reload.refused(error.to_string()),
        }
    }

    /// Restarts the host, unless the new process would fail to start.
    pub(super) fn restart(&self, built: BuiltApp) -> Option<RestartNeeded> {
        match self.reload.may_restart() {
            Ok(()) => Some(self.reload.restart(built.files, None)),
            Err(error) => {
                let why = format!("the host has changed and cannot restart yet: {error}");
                self.reload.refused(why);
                None
            }
        }
    }
}

/// How long a swap waits for running statements, so that the session can be reset. Most take a few milliseconds: a
/// page's query, or the count of backends.
const PATIENCE_BEFORE_SWAP: Duration = Duration::from_millis(100);
/// The same after the old generation has ended, when only the new one can have statements running.
const PATIENCE_AFTER_DRAIN: Duration = Duration::from_secs(1);

impl Reload {
    /// The app's current environment, whether it differs from that of the library loaded last, and the files to name as
    /// the cause. If it differs, even an unchanged library is loaded again, since its statics may hold old values.
    fn environment(&self, files: Vec<String>) -> (u64, bool, Vec<String>) {
        let now = self.services.settings.borrow().environment;
        let is_other = now != self.environment;
        let files = match files.is_empty() && is_other {
            true => vec![SETTINGS.to_owned()],
            false => files,
        };
        (now, is_other, files)
    }

    /// Returns how long the swap alone took.
    async fn start(&mut self, entry: Entry) -> Result<Duration, StartError> {
        let id = self.last_id + 1;
        let Settings { env, db_config, .. } = self.services.settings.borrow().clone();
        // The app's own pools lead to the same connection as `db`, if that can be shared.
        let url = self.services.database.endpoint.as_ref().map(Endpoint::url);
        let mut app_env = env.clone();
        if let Some(url) = &url {
            Arc::make_mut(&mut app_env).database_url = Some(url.clone());
        }
        let state = AppState {
            db: self.services.database.db.clone(),
            generation: id,
            shutdown: CancellationToken::new(),
            env: app_env,
            kept: self.services.kept.clone(),
            pool_owner: self.services.mode.pool,
            db_config: DbConfig {
                application_name: format!("{}:gen-{id}", db_config.application_name),
                relay: None, // of the host's `Db` alone
                url: url.unwrap_or(db_config.url),
                ..db_config
            },
        };
        let limit = env.app_start_timeout;
        let generation = start::start(entry, state, self.services.mode.isolation, limit).await?;
        self.last_id = id;
        // The new code must not inherit session state from the old code. If the old code is using the session now, the
        // reset happens after it has retired.
        self.services
            .database
            .db
            .reset_session(PATIENCE_BEFORE_SWAP)
            .await;
        let since = Instant::now();
        let before = self.services.generations.swap(generation);
        let swap = since.elapsed();
        // Otherwise the statements of the old code stay prepared for the life of the connection.
        self.services.database.db.forget_statements();
        if let Some(before) = before {
            let (drain, events, db) = (
                env.drain_timeout,
                self.services.events.clone(),
                self.services.database.db.clone(),
            );
            let generations = self.services.generations.clone();
            self.retiring.spawn(async move {
                let retired = retire(&generations, before, drain).await;
                // Again: the first reset may have failed, and the old code may have changed the session since.
                db.reset_session(PATIENCE_AFTER_DRAIN).await;
                events.emit(Event::Retired(retired));
            });
        }
        Ok(swap)
    }

    fn live(&self, first: bool, built: BuiltApp, times: Times) {
        let BuiltApp {
            files,
            by,
            warnings,
            ..
        } = built;
        let last = LastReload::new((self.last_id, first), files, by, times);
        self.report.send_modify(|report| {
            report.build_succeeded(&warnings);
            report.live(last.clone());
        });
        self.set_phase(Phase::Active, Event::Live { last, warnings });
    }

    pub(super) fn restart(&self, files: Vec<String>, outgrown: Option<Images>) -> RestartNeeded {
        self.set_phase(Phase::Restarting, Event::Restarting { files, outgrown });
        RestartNeeded { outgrown }
    }

    pub(super) fn build_failed(&self, diagnostics: Vec<Diagnostic>) {
        let serving = self.active_id();
        if serving.is_none() {
            self.services.generations.set_absent(Absence::Failed(
                "it does not compile; see the terminal".into(),
            ));
        }
        self.report
            .send_modify(|report| report.build_failed(&diagnostics));
        self.set_phase(
            Phase::BuildFailed,
            Event::BuildFailed {
                diagnostics,
                serving,
            },
        );
    }

    fn refused(&self, why: String) {
        let serving = self.active_id();
        if serving.is_none() {
            self.services
                .generations
                .set_absent(Absence::Failed(why.clone()));
        }
        self.report
            .send_modify(|report| report.refused(why.clone()));
        self.set_phase(Phase::LoadFailed, Event::Refused { why, serving });
    }
}

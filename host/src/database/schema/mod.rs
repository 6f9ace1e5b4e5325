//! Keeps the database migrated while the host runs, and knows when it is not.
//!
//! Owns when migrations run: at the start, after a save in `migrations/`, and on request. They use the shared
//! connection if it is open, so that there is never a second one, and otherwise a temporary one, so that a check does
//! not open the shared one.

// While the database differs from the files.
mod blocked;

// Which database it is.
mod place;

// One migration run.
mod run;

// Another takes its place.
mod switch;

// What a new database is filled with.
mod seeds;

// The state after a run.
mod state;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use shared::{
    BoxError, Db,
    db::{Cancel, unreached_because},
    request::Request,
};
use shared_migrate::{self as migrate, MigrationFailure, RunOutcome};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{access::Access, endpoint::Endpoint, on_connection};
use crate::{
    config::{Policy, Project},
    events::{Event, Events},
};
use place::Place;
use run::Run;
pub(crate) use state::SchemaState;
use state::is_unreachable;
use switch::Head;

/// How long the end of the host waits for a migration that it has cancelled.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// What a request to migrate is answered with where there is nothing to migrate.
const NONE: &str = "this project has no migrations: HOST_MIGRATIONS or HOST_DATABASE is none";

pub(crate) struct Schema {
    project: Project,
    policy: Policy,
    /// The app's database.
    db: Db,
    /// Whether `db` may change tables: in the demonstration modes its role may not.
    may_migrate: bool,
    access: Arc<Access>,
    endpoint: Option<Endpoint>,
    events: Events,
    /// The database, for temporary connections.
    place: watch::Sender<Place>,
    state: watch::Sender<SchemaState>,
    /// One run at a time: a save and a button may come together.
    running: tokio::sync::Mutex<()>,
    /// Cancels the current run.
    stop: Mutex<CancellationToken>,
    /// The host is ending: no new run may begin.
    ending: CancellationToken,
}

impl Schema {
    pub(crate) fn new(
        (project, policy): (&Project, Policy),
        db: Db,
        may_migrate: bool,
        access: Arc<Access>,
        endpoint: Option<Endpoint>,
        place: Place,
        events: Events,
    ) -> Arc<Self> {
        Arc::new(Self {
            project: project.clone(),
            policy,
            db,
            may_migrate,
            access,
            endpoint,
            events,
            place: watch::Sender::new(place),
            state: watch::Sender::default(),
            running: tokio::sync::Mutex::default(),
            stop: Mutex::default(),
            ending: CancellationToken::new(),
        })
    }

    pub(crate) fn state(&self) -> watch::Receiver<SchemaState> {
        self.state.subscribe()
    }

    /// Whether pending migrations are applied automatically.
    pub(crate) fn auto_applies(&self) -> bool {
        self.policy == Policy::Auto
    }

    /// Cancels the current run at the server. An unfinished migration is not applied.
    pub(crate) fn cancel(&self) {
        self.stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .cancel();
    }

    /// Cancels the current run and waits until it has ended. No run begins afterwards.
    pub(crate) async fn end(&self) {
        self.ending.cancel();
        self.cancel();
        // A run that hangs for longer ends with the process.
        drop(tokio::time::timeout(STOP_LIMIT, self.running.lock()).await);
    }

    /// At the start: like [`sync`](Self::sync), but waits until the server can be reached.
    pub(crate) async fn sync_until_reachable(&self) {
        self.sync().await;
        let mut state = self.state();
        let reached = state.wait_for(|state| !state.unreached).await;
        reached.expect("the sender is in `self`");
    }

    /// After a save or at the start: applies pending migrations if the policy says so. The outcome is in the state.
    pub(crate) async fn sync(&self) {
        if let Err(error) = self.run(self.auto_applies(), false).await {
            tracing::debug!("migrations: {error}");
        }
    }

    /// On request: applies pending migrations and returns their number. Errors are about the connection; a faulty file
    /// is recorded in the state.
    pub(crate) async fn migrate(&self) -> Result<usize, BoxError> {
        if self.project.migrations().is_none() {
            return Err(NONE.into());
        }
        self.run(true, true).await
    }

    /// `asked`: by the user, who knows what is checked out.
    async fn run(&self, apply: bool, asked: bool) -> Result<usize, BoxError> {
        if self.project.migrations().is_none() && self.project.repository().is_none() {
            return Ok(0);
        }
        let _alone = self.running.lock().await;
        let before = self.state.borrow().clone();
        let as_before = |failure| RunOutcome {
            status: before.status.clone(),
            failure: Some(failure),
            ..RunOutcome::default()
        };
        let mut ignored = before.ignored.clone();
        let ran = async {
            let (files, head) = loop {
                let head = match self.follow_branch().await? {
                    Ok(head) => head,
                    Err(failure) => return Ok(as_before(failure)),
                };
                if self.project.migrations().is_none() {
                    return Ok(RunOutcome::default());
                }
                let files = migrate::load(&self.project.migration_source());
                // Otherwise they may be the files of a branch that was checked out meanwhile.
                if self.is_at(&head) {
                    break (files, head);
                }
            };
            let apply = apply && (asked || head != Head::Detached);
            Ok(match files {
                Ok(files) => {
                    ignored.clone_from(&files.ignored);
                    self.run_on_current(&files, apply).await?
                }
                Err(failure) => as_before(failure),
            })
        };
        let (outcome, error) = match ran.await {
            Ok(outcome) => (outcome, None),
            Err(error) => {
                let error: BoxError = error;
                let failure = MigrationFailure::new(None, unreached_because(&*error));
                (as_before(failure), Some(error))
            }
        };
        let RunOutcome {
            status,
            now,
            failure,
        } = outcome;
        self.report_applied(&now);
        if failure.is_none() && status.pending.is_empty() {
            self.seed_if_due().await;
        }
        let unreached = error.as_deref().is_some_and(is_unreachable);
        if unreached {
            self.access.report_failure();
        }
        for file in ignored.iter().filter(|file| !before.ignored.contains(file)) {
            self.events.emit(Event::MigrationIgnored {
                file: file.file.clone(),
                why: file.why.clone(),
            });
        }
        let mut state = SchemaState {
            status,
            failure,
            branch: self.state.borrow().branch.clone(),
            ignored,
            applying: None,
            unreached,
            revision: before.revision,
        };
        if state != before {
            state.revision += 1;
            // A missing connection is reported by the health check.
            if let (false, Some(event)) = (unreached, state.event()) {
                self.events.emit(event);
            }
            // The screen still shows the failure. Migrations that were applied are reported above.
            let had_failed = before.failure.is_some_and(|failure| failure.file.is_some());
            if had_failed && !state.differs() && now.is_empty() {
                self.events.emit(Event::MigrationsUpToDate);
            }
        }
        self.forget_plans(!now.is_empty());
        self.state.send_replace(state);
        error.map_or(Ok(now.len()), Err)
    }

    /// Fails if a host started now could not read the files.
    pub(crate) fn check_files(&self) -> Result<(), MigrationFailure> {
        migrate::load(&self.project.migration_source()).map(drop)
    }

    fn report_applied(&self, now: &[String]) {
        for migration in now.iter().cloned() {
            self.events.emit(Event::Migrated { migration });
        }
    }

    async fn run_on_current(
        &self,
        files: &migrate::Files,
        apply: bool,
    ) -> Result<RunOutcome, BoxError> {
        if self.may_migrate && self.db.status().size > 0 {
            let me = Request::of_the_host("migrations");
            let mut checkout = me.scope(self.db.checkout()).await?;
            let (run, cancel) = (self.new_run(self.place()), checkout.cancel());
            return Ok(run
                .execute(checkout.client_mut(), cancel, files, apply)
                .await);
        }
        self.run_on(self.place(), files, apply).await
    }

    async fn run_on(
        &self,
        place: Place,
        files: &migrate::Files,
        apply: bool,
    ) -> Result<RunOutcome, BoxError> {
        let (url, env) = place.clone();
        let run = self.new_run(place);
        on_connection(&url, &env, async |client| {
            let cancel = Cancel::of(client, &run.place.0);
            Ok(run.execute(client, cancel, files, apply).await)
        })
        .await
    }

    /// Prepares a run that can be cancelled. The caller must hold `running`.
    fn new_run(&self, place: Place) -> Run<'_> {
        let stop = self.ending.child_token();
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = stop.clone();
        Run {
            elsewhere: place.0 != self.place().0,
            place,
            state: &self.state,
            stop,
        }
    }
}

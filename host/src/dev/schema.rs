//! Keeps the database at what `migrations/` says, while the host runs, and knows when it is not.
//!
//! Owns when migrations run: at the start, when a file of theirs is saved, when a person asks. Over the one
//! connection once it is open, so that there is never a second; over a short one of its own before, so that looking
//! is not what opens it. Says nothing of what they contain.

// One run.
mod overseen;

// What came of it.
mod state;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use shared::{BoxError, Db, DbError, db::DatabaseUrl, env::Env};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{access::Access, database::on_connection, project::Project, terminal::line};
use crate::migrate::{self, Failure, Outcome};
use overseen::Run;
pub(crate) use state::{Policy, SchemaState};
use state::{tell, tell_applied};

/// How often a blocked schema is looked at again.
const LOOK: Duration = Duration::from_secs(1);
const BRIEF: Duration = Duration::from_millis(50);

/// How long the end of the host waits for a migration that it has cancelled.
const STOP_LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct Schema {
    project: Project,
    policy: Policy,
    /// The app's.
    db: Db,
    /// Whether `db` may change tables: in a demonstration it is a plain role.
    may_migrate: bool,
    access: Arc<Access>,
    /// Where to connect while `db` is not open.
    place: watch::Sender<Place>,
    state: watch::Sender<SchemaState>,
    /// One run at a time: a save and a button may come together.
    running: tokio::sync::Mutex<()>,
    /// Cancels the run that goes on.
    stop: Mutex<CancellationToken>,
    /// The host is ending: no run begins any more.
    ending: CancellationToken,
}

/// A server, and the settings it is used with.
pub(crate) type Place = (DatabaseUrl, Arc<Env>);

impl Schema {
    pub(crate) fn new(
        project: Project,
        policy: Policy,
        db: Db,
        may_migrate: bool,
        access: Arc<Access>,
        place: Place,
    ) -> Arc<Self> {
        Arc::new(Self {
            project,
            policy,
            db,
            may_migrate,
            access,
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

    /// Whether pending files are applied unasked.
    pub(crate) fn applies(&self) -> bool {
        self.policy == Policy::Auto
    }

    /// Where the database is.
    pub(crate) fn place(&self) -> Place {
        self.place.borrow().clone()
    }

    /// The same, now and whenever it moves.
    pub(crate) fn places(&self) -> watch::Receiver<Place> {
        self.place.subscribe()
    }

    /// The database is another one from now on; if files are applied unasked, they were before anybody got to it.
    pub(crate) fn moved_to(&self, url: DatabaseUrl, env: Arc<Env>) {
        self.place.send_replace((url, env));
    }

    /// Cancels the run that goes on, at the server. What it has not finished is not applied.
    pub(crate) fn cancel(&self) {
        self.stopper().cancel();
    }

    /// Cancels, and waits for the end. No run begins after that.
    pub(crate) async fn end(&self) {
        self.ending.cancel();
        self.cancel();
        // What hangs for longer ends with the process.
        drop(tokio::time::timeout(STOP_LIMIT, self.running.lock()).await);
    }

    fn stopper(&self) -> CancellationToken {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        stop.clone()
    }

    /// At the start: the same as [`follow`](Self::follow), and waits for a server that does not answer.
    pub(crate) async fn first(&self) {
        self.follow().await;
        let mut state = self.state();
        let reached = state.wait_for(|state| !state.unreached).await;
        reached.expect("the sender is in `self`");
    }

    /// After a save or at the start: applies what is pending, if it is to be applied unasked.
    /// What came of it is in the state.
    pub(crate) async fn follow(&self) {
        if let Err(error) = self.run(self.applies()).await {
            tracing::debug!("migrations: {error}");
        }
    }

    /// A person asked: applies what is pending, now, and returns how many that were. An error is of the connection;
    /// a faulty file is in the state.
    pub(crate) async fn migrate(&self) -> Result<usize, BoxError> {
        self.run(true).await
    }

    /// While the app is blocked, looks whether somebody else has put the database right: `just migrate`,
    /// `just db-reset`. Until the host ends; aborted with it.
    pub(crate) async fn look_while_blocked(self: Arc<Self>) {
        let mut state = self.state();
        loop {
            let Ok(blocked) = state
                .wait_for(SchemaState::differs)
                .await
                .map(|now| now.clone())
            else {
                return;
            };
            if blocked.unreached {
                self.access.fine().await;
                self.follow().await;
                // Should the next attempt fail again, though the server answers others.
                tokio::time::sleep(BRIEF).await;
            } else if blocked.failure.is_some_and(|failure| failure.is_transient) {
                tokio::time::sleep(LOOK).await;
                self.follow().await;
            } else {
                tokio::time::sleep(LOOK).await;
                if let Err(error) = self.look().await {
                    tracing::debug!("looking at the schema: {error}");
                }
            }
        }
    }

    /// Only whether all is well now: why a file failed is not known from looking.
    async fn look(&self) -> Result<(), BoxError> {
        let _alone = self.running.lock().await;
        let files = migrate::load(&self.project.migrations());
        // A run of ours may have put it right meanwhile, and has said so.
        let (true, Ok(files)) = (self.state.borrow().differs(), files) else {
            return Ok(());
        };
        let Outcome {
            status, failure, ..
        } = self.run_files(&files, false).await?;
        if failure.is_none() && status.pending.is_empty() {
            line(format_args!("Migrations up to date"));
            self.db.forget_statements();
            self.state.send_modify(|state| {
                state.status = status;
                state.failure = None;
                state.revision += 1;
            });
        }
        Ok(())
    }

    async fn run(&self, apply: bool) -> Result<usize, BoxError> {
        let _alone = self.running.lock().await;
        let before = self.state.borrow().clone();
        let as_before = |failure| Outcome {
            status: before.status.clone(),
            failure: Some(failure),
            ..Outcome::default()
        };
        let (outcome, error) = match migrate::load(&self.project.migrations()) {
            Ok(files) => match self.run_files(&files, apply).await {
                Ok(outcome) => (outcome, None),
                Err(error) => {
                    let failure = Failure::new(None, error.to_string());
                    (as_before(failure), Some(error))
                }
            },
            Err(failure) => (as_before(failure), None),
        };
        let Outcome {
            status,
            now,
            failure,
        } = outcome;
        tell_applied(&now);
        let unreached = error.as_deref().is_some_and(is_of_the_way);
        if unreached {
            self.access.doubt();
        }
        let mut state = SchemaState {
            status,
            failure,
            applying: None,
            unreached,
            revision: before.revision,
        };
        if state != before {
            state.revision += 1;
            // That there is no connection is told by whoever watches that.
            if !unreached {
                tell(&state);
            }
        }
        // Plans of the schema before would fail once each.
        self.db.forget_statements();
        self.state.send_replace(state);
        error.map_or(Ok(now.len()), Err)
    }

    /// Brings another database to what `migrations/` says, before anybody uses it. An error: it is not fit to be used.
    pub(crate) async fn prepare(&self, place: Place) -> Result<(), BoxError> {
        let _alone = self.running.lock().await;
        let files = migrate::load(&self.project.migrations())?;
        let Outcome { now, failure, .. } = self.run_at(place, &files, self.applies()).await?;
        tell_applied(&now);
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }

    async fn run_files(
        &self,
        files: &[refinery::Migration],
        apply: bool,
    ) -> Result<Outcome, BoxError> {
        if self.may_migrate && self.db.status().size > 0 {
            // If somebody holds it, the message says who, and where.
            let mut checkout = self.db.checkout().await?;
            let run = self.begin(self.place());
            return Ok(run.over(checkout.client_mut(), files, apply).await);
        }
        self.run_at(self.place(), files, apply).await
    }

    async fn run_at(
        &self,
        place: Place,
        files: &[refinery::Migration],
        apply: bool,
    ) -> Result<Outcome, BoxError> {
        let (url, env) = place.clone();
        let run = self.begin(place);
        on_connection(&url, &env, async |client| {
            Ok(run.over(client, files, apply).await)
        })
        .await
    }

    /// A run that can be cancelled. The caller is the only one that runs.
    fn begin(&self, place: Place) -> Run<'_> {
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

/// Whether there was no connection to be had, and not only none for now because somebody else holds it.
fn is_of_the_way(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    !matches!(
        error.downcast_ref(),
        Some(DbError::Wait { .. } | DbError::Nested { .. })
    )
}

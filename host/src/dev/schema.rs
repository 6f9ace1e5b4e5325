//! Keeps the database at what `migrations/` says, while the host runs, and knows when it is not.
//!
//! Owns when migrations run: at the start, when a file of theirs is saved, when a person asks. Over the one
//! connection once it is open, so that there is never a second; over a short one of its own before, so that looking
//! is not what opens it. Says nothing of what they contain.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::ValueEnum;
use serde::Serialize;
use shared::{BoxError, Db, db::DatabaseUrl, env::Env};
use tokio::sync::watch;

use super::{database::on_connection, project::Project, terminal::line};
use crate::migrate::{self, Failure, Outcome, Standing};

/// When pending migrations are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Policy {
    /// At once.
    Auto,
    /// When a person says so; until then every request is told.
    Ask,
}

/// How often a blocked schema is looked at again.
const LOOK: Duration = Duration::from_secs(1);

/// How database and files stand to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SchemaState {
    #[serde(flatten)]
    pub(crate) standing: Standing,
    pub(crate) failure: Option<Failure>,
    /// Changes with each run that changed anything.
    #[serde(skip)]
    revision: u64,
}

impl SchemaState {
    /// Tells one state that blocks from another; `None` if this one does not.
    pub(crate) fn revision(&self) -> Option<u64> {
        self.blocks().then_some(self.revision)
    }

    /// Whether the app would meet a schema it was not written for.
    pub(crate) fn blocks(&self) -> bool {
        self.failure.is_some() || !self.standing.pending.is_empty()
    }
}

pub(crate) struct Schema {
    project: Project,
    policy: Policy,
    /// The app's.
    db: Db,
    /// Whether `db` may change tables: in a demonstration it is a plain role.
    may_migrate: bool,
    /// Where to connect while `db` is not open.
    place: Mutex<(DatabaseUrl, Arc<Env>)>,
    state: watch::Sender<SchemaState>,
    /// One run at a time: a save and a button may come together.
    running: tokio::sync::Mutex<()>,
}

impl Schema {
    pub(crate) fn new(
        project: Project,
        policy: Policy,
        db: Db,
        may_migrate: bool,
        place: (DatabaseUrl, Arc<Env>),
    ) -> Arc<Self> {
        Arc::new(Self {
            project,
            policy,
            db,
            may_migrate,
            place: Mutex::new(place),
            state: watch::Sender::default(),
            running: tokio::sync::Mutex::default(),
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
    pub(crate) fn place(&self) -> (DatabaseUrl, Arc<Env>) {
        self.place
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The database is another one from now on; if files are applied unasked, they were before anybody got to it.
    pub(crate) fn moved_to(&self, url: DatabaseUrl, env: Arc<Env>) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = (url, env);
    }

    /// After a save or at the start: applies what is pending, if it is to be applied unasked.
    pub(crate) async fn follow(&self) -> Result<(), BoxError> {
        self.run(self.applies()).await.map(|_| ())
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
                .wait_for(SchemaState::blocks)
                .await
                .map(|now| now.clone())
            else {
                return;
            };
            tokio::time::sleep(LOOK).await;
            let about_a_file = |failure: &Failure| failure.file.is_some();
            let looked = if blocked.failure.as_ref().is_none_or(about_a_file) {
                self.look().await
            } else {
                // It was the connection: what was to be applied still is.
                self.follow().await
            };
            if let Err(error) = looked {
                tracing::debug!("looking at the schema: {error}");
            }
        }
    }

    /// Only whether all is well now: why a file failed is not known from looking.
    async fn look(&self) -> Result<(), BoxError> {
        let _alone = self.running.lock().await;
        let Ok(files) = migrate::load(&self.project.migrations()) else {
            return Ok(());
        };
        let Outcome {
            standing, failure, ..
        } = self.run_files(&files, false).await?;
        if failure.is_none() && standing.pending.is_empty() {
            line(format_args!("Migrations up to date"));
            self.db.forget_statements();
            self.state.send_modify(|state| {
                state.standing = standing;
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
            standing: before.standing.clone(),
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
            standing,
            now,
            failure,
        } = outcome;
        for name in &now {
            line(format_args!("migrated {name}"));
        }
        let mut state = SchemaState {
            standing,
            failure,
            revision: before.revision,
        };
        if state != before {
            state.revision += 1;
            tell(&state);
        }
        // Plans of the schema before would fail once each.
        self.db.forget_statements();
        self.state.send_replace(state);
        error.map_or(Ok(now.len()), Err)
    }

    async fn run_files(
        &self,
        files: &[refinery::Migration],
        apply: bool,
    ) -> Result<Outcome, BoxError> {
        if self.may_migrate && self.db.status().size > 0 {
            // If somebody holds it, the message says who, and where.
            let mut checkout = self.db.checkout().await?;
            return Ok(migrate::run(checkout.client_mut(), files, apply).await);
        }
        let (url, env) = self.place();
        on_connection(&url, &env, async |client| {
            Ok(migrate::run(client, files, apply).await)
        })
        .await
    }
}

fn tell(now: &SchemaState) {
    let SchemaState {
        standing, failure, ..
    } = now;
    if let Some(failure) = failure {
        line(format_args!("✗ {failure}"));
    } else if !standing.pending.is_empty() {
        line(format_args!(
            "pending: {}; press m, use the button on the page, or run `just migrate`",
            standing.pending.join(", ")
        ));
    }
}

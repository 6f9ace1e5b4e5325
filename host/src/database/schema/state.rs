//! How the database compares with `migrations/`.

use chrono::{DateTime, Local};
use serde::Serialize;
use shared::DbError;
use shared_migrate::{self as migrate, MigrationFailure};

use crate::events::Event;

/// A run in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Applying {
    /// `None` while files and database are compared.
    pub(crate) file: Option<String>,
    /// What happens instead, such as that another database takes the place of this one.
    pub(crate) instead: Option<String>,
    pub(crate) since: DateTime<Local>,
    /// It is slow enough to tell the user.
    pub(crate) slow: bool,
    /// The backend that holds the lock: PID, name, state and statement.
    pub(crate) waits_for: Option<String>,
    /// The run is on a database that the app is about to move to; until then the app keeps using the current one.
    #[serde(skip)]
    pub(super) elsewhere: bool,
}

/// How the database compares with the files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SchemaState {
    #[serde(flatten)]
    pub(crate) status: migrate::MigrationStatus,
    pub(crate) failure: Option<MigrationFailure>,
    /// The branch whose database is in use, if each has one.
    pub(crate) branch: Option<String>,
    /// Files that are not applied, since they are no migrations.
    pub(crate) ignored: Vec<migrate::Ignored>,
    /// The run in progress.
    pub(crate) applying: Option<Applying>,
    /// The failure is a missing connection. The run is repeated once there is one.
    #[serde(skip)]
    pub(crate) unreached: bool,
    /// Incremented by each run that changed the state.
    #[serde(skip)]
    pub(super) revision: u64,
}

impl Applying {
    /// Begins now.
    pub(super) fn begin() -> Self {
        Self {
            file: None,
            instead: None,
            since: Local::now(),
            slow: false,
            waits_for: None,
            elsewhere: false,
        }
    }
}

impl SchemaState {
    /// Identifies this blocking state; `None` if it does not block.
    pub(crate) fn revision(&self) -> Option<u64> {
        self.blocks().then_some(self.revision)
    }

    /// Whether the app must not get requests: it would run on a schema it was not written for, or wait for the
    /// connection that a slow migration holds.
    fn blocks(&self) -> bool {
        let blocks_app = |run: &Applying| run.slow && !run.elsewhere;
        self.differs() || self.applying.as_ref().is_some_and(blocks_app)
    }

    /// Whether the database differs from the files.
    pub(crate) fn differs(&self) -> bool {
        self.failure.is_some() || !self.status.pending.is_empty()
    }

    /// Whether a run on the app's database has just begun and is not known to be slow.
    pub(crate) fn is_new_run(&self) -> bool {
        let is_new = |run: &Applying| !run.slow && !run.elsewhere;
        self.applying.as_ref().is_some_and(is_new)
    }

    /// What to report about it: a failure, or what is pending.
    pub(super) fn event(&self) -> Option<Event> {
        if let Some(failure) = &self.failure {
            let message = failure.to_string();
            return Some(Event::MigrationFailed { message });
        }
        let migrations = self.status.pending.clone();
        (!migrations.is_empty()).then_some(Event::MigrationsPending { migrations })
    }
}

/// Whether the server could not be reached, as opposed to a connection that was in use for too long.
pub(super) fn is_unreachable(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    !matches!(
        error.downcast_ref(),
        Some(DbError::Wait { .. } | DbError::Nested { .. })
    )
}

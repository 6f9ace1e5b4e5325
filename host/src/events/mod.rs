//! What happens: one typed stream with a short memory.
//!
//! Services report here, and the terminal subscribes: it prints lines, or JSON with `--json`. Nothing else prints. An
//! event is plain data, so this room knows no service and no renderer. What the dashboard shows is state, such as
//! [`Report`].

// What pages report.
mod browser;

// The compiler's messages and progress.
mod diagnostic;
mod progress;

// The steps of a save, and the state of the reload loop.
mod report;
mod runtime_files;

// The tests after a save.
mod testing;

// Who hears of it.
mod stream;

// What keeps the app from answering.
mod trouble;

pub(crate) use browser::BrowserError;
pub(crate) use diagnostic::{Diagnostic, worst};
pub(crate) use progress::{BuildKind, Progress, UnderWay};
pub(crate) use report::{
    Build, Compiler, Images, LastReload, Phase, Reloads, Report, Retired, Times,
};
pub(crate) use runtime_files::{RuntimeFiles, SavedFile};
pub(crate) use stream::Events;
pub(crate) use testing::{FailedTest, RunningTests, TestRun, Testing};
pub(crate) use trouble::{Cause, Trouble};

use std::time::Duration;

use serde::Serialize;
use shared::db::Refusal;

/// One thing that happened. Serialized with its name in `event` for `--json`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    // A save, in the order of its steps.
    Migrating,
    /// Saved files that the app reads at run time; open pages show them.
    Refreshed {
        files: Vec<String>,
    },
    Building {
        first: bool,
        files: Vec<String>,
    },
    /// The running build compiles more than the app and will not be cancelled.
    Dependencies,
    Progress(Progress),
    BuildFailed {
        diagnostics: Vec<Diagnostic>,
        serving: Option<u64>,
    },
    Loading,
    Unchanged {
        files: Vec<String>,
        warnings: Vec<Diagnostic>,
    },
    Refused {
        why: String,
        serving: Option<u64>,
    },
    Live {
        #[serde(flatten)]
        last: LastReload,
        warnings: Vec<Diagnostic>,
    },
    Retired(Retired),
    /// Tests of the app have begun.
    Testing {
        generation: u64,
    },
    Tested(TestRun),
    /// The user wants tests after each save, or no longer.
    TestsSwitched {
        on: bool,
    },
    Restarting {
        files: Vec<String>,
        /// Set if the reason is not a change but the memory of old code.
        outgrown: Option<Images>,
    },

    // The database.
    /// The database or a migration keeps the app from answering; `None`: no longer.
    Outage {
        trouble: Option<Trouble>,
    },
    /// A command waits for the database to start.
    DatabaseSlow {
        what: String,
    },
    /// A command waits for the lock of another session.
    WaitingForLock {
        of: String,
    },
    /// `db-reset` has dropped everything.
    Dropped {
        place: String,
    },
    /// A migration was applied.
    Migrated {
        migration: String,
    },
    MigrationFailed {
        message: String,
    },
    MigrationsPending {
        migrations: Vec<String>,
    },
    /// A file among the migrations is none, and is not applied.
    MigrationIgnored {
        file: String,
        why: String,
    },
    /// The database was migrated by something else.
    MigrationsUpToDate,
    /// The user asked for migrations, and there are none.
    NothingPending,
    /// The user asked for migrations, and there is no connection for them.
    CannotMigrate {
        message: String,
    },
    /// The private cluster had ended, and runs again.
    ClusterRestarted {
        data_lost: bool,
    },
    /// The database of another branch is in use: the one that was there, unless it was copied from that of `from`.
    BranchDatabase {
        branch: String,
        from: Option<String>,
        copied: bool,
        #[serde(rename = "took_ms", serialize_with = "milliseconds")]
        took: Duration,
    },
    SnapshotMade {
        name: String,
    },
    SnapshotRestored {
        name: String,
    },
    /// A file has filled an empty database.
    Seeded {
        file: String,
    },
    SeedFailed {
        message: String,
    },
    /// The demonstration modes use a role without superuser rights, which could not be made.
    NoPlainRole {
        message: String,
    },
    /// PostgreSQL had no slot for the app (SQLSTATE 53300).
    ConnectionRefused(Refusal),
    /// The user asked for a new pool.
    PoolReplaced,
    /// The same, but in this mode the app makes its pools.
    PoolIsOfTheApp,
    /// The same, but there is no database.
    NoPool,
    PoolNotReplaced {
        message: String,
    },

    // `.env`.
    /// Variables of libpq are set, which are not read here.
    SettingsUnread {
        message: String,
    },
    SettingsRefused {
        message: String,
    },
    /// A refused `.env` is right again.
    SettingsAccepted,
    /// Some of the changed settings take effect when the user restarts the host.
    SettingsNeedRestart {
        names: Vec<&'static str>,
    },
    /// The pool uses another database or other limits now.
    PoolMoved {
        url: String,
    },

    // Requests.
    /// A request runs without an await.
    NotYielding {
        generation: u64,
        request: String,
        handler: Option<String>,
        #[serde(rename = "for_ms", serialize_with = "milliseconds")]
        since: Duration,
        /// How many threads of the generation are taken this way, of how many.
        taken: usize,
        threads: usize,
        cpu_percent: u32,
    },
    /// A page keeps the dev server's script out and does not reload by itself.
    Unreloadable {
        path: String,
        because: String,
    },
    /// A page of the app reports an error.
    BrowserError(BrowserError),
    /// A request was cut off when the host ended.
    CutOff {
        request: String,
    },
    /// Connections were still open when the time to finish them was over.
    ConnectionsCutOff {
        connections: usize,
        #[serde(rename = "after_ms", serialize_with = "milliseconds")]
        after: Duration,
    },

    // The host.
    Starting {
        version: &'static str,
        pid: u32,
    },
    /// `.dev` was deleted and cannot be made again.
    NotAnnounced {
        message: String,
    },
    CannotRestart {
        message: String,
    },
    /// A signal or a key asks the host to end.
    Stopping {
        signal: &'static str,
    },
    /// A second one: it ends without waiting.
    Stopped {
        signal: &'static str,
    },
}

/// To the microsecond.
fn in_milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn milliseconds<S: serde::Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(in_milliseconds(*duration))
}

//! Applies migrations as refinery, sqlx or diesel would, whichever the files are for: each file and its history row in
//! one transaction.
//!
//! Does not need the app, which may not compile until the schema is right. Also has the error messages and the handling
//! of statements that cannot run in a transaction. The caller provides the connection.

// Which files there are, and what they hold.
mod files;
mod fingerprint;
mod folder;

// Whose they are by their names.
mod naming;

// What was applied, and the tables that say it.
mod history;
mod table;

// Which of them cannot be applied.
mod load;

// How the two differ.
mod compare;

// What a new file is called.
mod next;

// What fills the tables afterwards.
mod seeds;

// What the user says of them.
mod source;
mod style;

// Keeps two processes from migrating at once.
mod lock;

pub use files::{Files, Ignored};
pub use load::load;
pub use lock::{lock_keys, lockers, named};
pub use next::next;
pub use seeds::seed;
pub use source::Source;
pub use style::Style;

use std::time::Instant;

use files::Migration;
use history::History;
use serde::Serialize;
use shared_db::describe;
use tokio_postgres::{Client, error::ErrorPosition};
use tokio_util::sync::CancellationToken;

use style::StyleLine;

/// Why migrating failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}{}{message}", file.as_deref().unwrap_or_default(), place(file, line))]
pub struct MigrationFailure {
    /// Relative to the root of the source.
    pub file: Option<String>,
    pub line: Option<usize>,
    /// PostgreSQL's message with detail and hint, or our own with advice.
    pub message: String,
    /// It may go away by itself, so the host tries again without being asked.
    #[serde(skip)]
    pub is_transient: bool,
}

fn place(file: &Option<String>, line: &Option<usize>) -> String {
    match (file, line) {
        (Some(_), Some(line)) => format!(":{line}: "),
        (Some(_), None) => ": ".into(),
        (None, _) => String::new(),
    }
}

impl MigrationFailure {
    pub fn new(file: Option<String>, message: String) -> Self {
        Self {
            is_transient: file.is_none(),
            file,
            line: None,
            message,
        }
    }

    /// The line that says whose the migrations are does not do.
    fn at_style(source: &Source, line: &StyleLine, why: &str) -> Self {
        let manifest = source.shown(&source.manifest);
        Self {
            line: Some(line.number),
            ..Self::new(Some(manifest), line.refused(why))
        }
    }
}

/// The applied and the pending migrations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MigrationStatus {
    pub applied: Vec<String>,
    pub pending: Vec<String>,
    /// The files of the pending ones, as they are shown.
    #[serde(skip)]
    pub pending_files: Vec<String>,
}

/// The result of a run.
#[derive(Debug, Default)]
pub struct RunOutcome {
    pub status: MigrationStatus,
    /// The part of `status.applied` that this run has added.
    pub now: Vec<String>,
    pub failure: Option<MigrationFailure>,
}

/// How the caller follows and stops a run.
pub struct RunControl<'a> {
    /// Called with the path of each file before it is applied.
    pub before_file: &'a (dyn Fn(&str) + Send + Sync),
    /// When cancelled, no further file is begun. The caller cancels the running statement at the server.
    pub stop: &'a CancellationToken,
}

/// Compares files and database and, if `apply`, applies what is pending.
///
/// A file that fails is rolled back completely; the files before it stay applied.
pub async fn run(
    client: &mut Client,
    files: &Files,
    apply: bool,
    control: &RunControl<'_>,
) -> RunOutcome {
    let mut outcome = RunOutcome::default();
    let ran = run_with_locks(client, files, apply, control, &mut outcome);
    outcome.failure = ran.await.err();
    if let (Some(failure), true) = (&mut outcome.failure, control.stop.is_cancelled()) {
        failure.message = format!("cancelled; {}", failure.message);
        failure.is_transient = false;
    }
    outcome
}

async fn run_with_locks(
    client: &mut Client,
    files: &Files,
    apply: bool,
    control: &RunControl<'_>,
    outcome: &mut RunOutcome,
) -> Result<(), MigrationFailure> {
    let keys = lock::lock_keys(client, files.style).await;
    let keys = keys.map_err(|error| MigrationFailure::new(None, describe(&error)))?;
    let ran = match lock::take(client, &keys, control.stop).await {
        Ok(()) => run_locked(client, files, apply, control, outcome).await,
        Err(failure) => Err(failure),
    };
    lock::release(client, &keys).await;
    ran
}

async fn run_locked(
    client: &mut Client,
    files: &Files,
    apply: bool,
    control: &RunControl<'_>,
    outcome: &mut RunOutcome,
) -> Result<(), MigrationFailure> {
    // Changing a large table may take long. The caller resets the session or closes the connection.
    drop(client.batch_execute("SET statement_timeout = 0").await);
    let mut history = History::read(client, files).await?;
    outcome.status = compare::status(files, &history);
    compare::verify(files, &history)?;
    if !apply {
        return Ok(());
    }
    history.forget_empty(client).await?;
    let pending: Vec<&Migration> = compare::pending(files, &history).collect();
    for file in pending {
        if control.stop.is_cancelled() {
            return Err(stopped());
        }
        (control.before_file)(&file.path);
        history.ensure(client).await?;
        apply_one(client, &history, file)
            .await
            .map_err(|error| failed(&file.path, &file.sql, &error))?;
        history.add(file);
        outcome.status = compare::status(files, &history);
        outcome.now.push(file.named.name.clone());
    }
    Ok(())
}

async fn apply_one(
    client: &mut Client,
    history: &History,
    file: &Migration,
) -> Result<(), tokio_postgres::Error> {
    let start = Instant::now();
    if file.in_transaction {
        let transaction = client.transaction().await?;
        transaction.batch_execute(&file.sql).await?;
        history.record(&transaction, file).await?;
        transaction.commit().await?;
    } else {
        client.batch_execute(&file.sql).await?;
        history.record(client, file).await?;
    }
    history.record_time(client, file, start.elapsed()).await;
    Ok(())
}

fn stopped() -> MigrationFailure {
    MigrationFailure::new(None, "nothing more was begun".to_owned())
}

fn failed(path: &str, sql: &str, error: &tokio_postgres::Error) -> MigrationFailure {
    let position = error.as_db_error().and_then(|db| db.position());
    let line = match position {
        // Counted in characters, from 1. A position inside a function's body refers to another text.
        Some(ErrorPosition::Original(at)) => {
            let before = sql.chars().take((*at as usize).saturating_sub(1));
            Some(1 + before.filter(|character| *character == '\n').count())
        }
        _ => None,
    };
    MigrationFailure {
        file: Some(path.to_owned()),
        line,
        message: describe(error),
        is_transient: false,
    }
}

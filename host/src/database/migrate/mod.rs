//! Applies migrations with refinery: each file and its history row in one transaction.
//!
//! Does not need the app, which may not compile until the schema is right. Also has the error messages and the handling
//! of statements that cannot run in a transaction. The caller provides the connection.

// Which files there are, and whether their names are right.
mod files;

// Keeps two processes from migrating at once.
mod lock;

pub(crate) use files::{Files, load, next, unfinished};
pub(crate) use lock::{LOCKERS, named};

use refinery::{Migration, Runner, Target};
use serde::Serialize;
use shared::db::describe;
use tokio_postgres::{Client, error::ErrorPosition};
use tokio_util::sync::CancellationToken;

/// The first line of a file whose only statement cannot run in a transaction, such as CREATE INDEX CONCURRENTLY.
const NO_TRANSACTION: &str = "-- no-transaction";

/// A target below every version: refinery applies nothing, but verifies everything.
const NOTHING: Target = Target::Version(-1);

/// Why migrating failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}{}{message}", file.as_deref().unwrap_or_default(), place(file, line))]
pub(crate) struct MigrationFailure {
    /// Relative to the root of the project.
    pub(crate) file: Option<String>,
    pub(crate) line: Option<usize>,
    /// PostgreSQL's message with detail and hint, or our own with advice.
    pub(crate) message: String,
    /// It may go away by itself, so the host tries again without being asked.
    #[serde(skip)]
    pub(crate) is_transient: bool,
}

fn place(file: &Option<String>, line: &Option<usize>) -> String {
    match (file, line) {
        (Some(_), Some(line)) => format!(":{line}: "),
        (Some(_), None) => ": ".into(),
        (None, _) => String::new(),
    }
}

impl MigrationFailure {
    pub(crate) fn new(file: Option<String>, message: String) -> Self {
        Self {
            is_transient: file.is_none(),
            file,
            line: None,
            message,
        }
    }
}

/// The applied and the pending migrations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct MigrationStatus {
    pub(crate) applied: Vec<String>,
    pub(crate) pending: Vec<String>,
    /// The folder of their files, as it is shown.
    #[serde(skip)]
    pub(crate) folder: String,
}

/// The result of a run.
#[derive(Debug, Default)]
pub(crate) struct RunOutcome {
    pub(crate) status: MigrationStatus,
    /// The part of `status.applied` that this run has added.
    pub(crate) now: Vec<String>,
    pub(crate) failure: Option<MigrationFailure>,
}

/// How the caller follows and stops a run.
pub(crate) struct RunControl<'a> {
    /// Called with the path of each file before it is applied.
    pub(crate) before_file: &'a (dyn Fn(&str) + Send + Sync),
    /// When cancelled, no further file is begun. The caller cancels the running statement at the server.
    pub(crate) stop: &'a CancellationToken,
}

/// Compares files and database and, if `apply`, applies what is pending.
///
/// A file that fails is rolled back completely; the files before it stay applied.
pub(crate) async fn run(
    client: &mut Client,
    files: &Files,
    apply: bool,
    control: &RunControl<'_>,
) -> RunOutcome {
    let mut outcome = RunOutcome::default();
    outcome.failure = match lock::take(client, control.stop).await {
        Ok(()) => run_locked(client, files, apply, control, &mut outcome)
            .await
            .err(),
        Err(failure) => Some(failure),
    };
    if let (Some(failure), true) = (&mut outcome.failure, control.stop.is_cancelled()) {
        failure.message = format!("cancelled; {}", failure.message);
        failure.is_transient = false;
    }
    // Fails only if the connection is lost, which has released the lock.
    lock::release(client).await;
    outcome
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
    // refinery would make its table for nothing.
    if files.list.is_empty() && !has_history(client).await? {
        return Ok(());
    }
    let verified = refine(client, files, NOTHING).await;
    outcome.status = compare(client, files).await?;
    verified?;
    if apply {
        for name in outcome.status.pending.clone() {
            if control.stop.is_cancelled() {
                return Err(stopped());
            }
            (control.before_file)(&files.path(&name));
            let file = files.list.iter().find(|file| file.to_string() == name);
            apply_one(client, files, file.expect("names are of these files")).await?;
            outcome.status.pending.remove(0);
            outcome.status.applied.push(name.clone());
            outcome.now.push(name);
        }
    }
    Ok(())
}

async fn apply_one(
    client: &mut Client,
    files: &Files,
    file: &Migration,
) -> Result<(), MigrationFailure> {
    let sql = file.sql().unwrap_or_default();
    if !sql.starts_with(NO_TRANSACTION) {
        return refine(client, files, Target::Version(file.version())).await;
    }
    client
        .batch_execute(sql)
        .await
        .map_err(|error| failed(files, file, &error))?;
    refine(client, files, Target::FakeVersion(file.version())).await
}

/// One pass of refinery, up to `target`.
async fn refine(
    client: &mut Client,
    files: &Files,
    target: Target,
) -> Result<(), MigrationFailure> {
    let runner = Runner::new(&files.list).set_target(target);
    match runner.run_async(client).await {
        Ok(_) => Ok(()),
        Err(error) => Err(explain(&error, files, target)),
    }
}

async fn compare(client: &mut Client, files: &Files) -> Result<MigrationStatus, MigrationFailure> {
    let applied = Runner::new(&files.list)
        .get_applied_migrations_async(client)
        .await
        .map_err(|error| explain(&error, files, NOTHING))?;
    let pending = files
        .list
        .iter()
        .filter(|file| applied.iter().all(|done| done.version() != file.version()));
    Ok(MigrationStatus {
        pending: pending.map(ToString::to_string).collect(),
        applied: applied.iter().map(ToString::to_string).collect(),
        folder: files.folder.clone(),
    })
}

async fn has_history(client: &Client) -> Result<bool, MigrationFailure> {
    let asked = client
        .query_one(
            "SELECT to_regclass('refinery_schema_history') IS NOT NULL",
            &[],
        )
        .await;
    match asked {
        Ok(row) => Ok(row.get(0)),
        Err(error) => Err(MigrationFailure::new(None, describe(&error))),
    }
}

fn stopped() -> MigrationFailure {
    MigrationFailure::new(None, "nothing more was begun".to_owned())
}

fn failed(files: &Files, file: &Migration, error: &tokio_postgres::Error) -> MigrationFailure {
    let position = error.as_db_error().and_then(|db| db.position());
    let line = match position {
        // Counted in characters, from 1. A position inside a function's body refers to another text.
        Some(ErrorPosition::Original(at)) => file.sql().map(|sql| {
            let before = sql.chars().take((*at as usize).saturating_sub(1));
            1 + before.filter(|character| *character == '\n').count()
        }),
        _ => None,
    };
    MigrationFailure {
        file: Some(files.path(file)),
        line,
        message: describe(error),
        is_transient: false,
    }
}

/// refinery's own message is only "`error applying migration V3__x`, `db error`"; PostgreSQL's message is in the
/// source.
fn explain(error: &refinery::Error, files: &Files, target: Target) -> MigrationFailure {
    use refinery::error::Kind;
    let aimed_at = match target {
        Target::Version(version) => files.list.iter().find(|file| file.version() == version),
        _ => None,
    };
    let (file, message) = match error.kind() {
        Kind::Connection(what, source) => match (source.downcast_ref(), aimed_at) {
            (Some(error), Some(file)) => return failed(files, file, error),
            (Some(error), None) => (None, format!("{what}: {}", describe(error))),
            (None, _) => (None, format!("{what}: {source}")),
        },
        Kind::DivergentVersion(applied, file) if applied.name() != file.name() => (
            Some(file),
            format!(
                "takes the number of {applied}, which is applied and whose file is gone, as after a change of branch: if both belong \
                 together, bring {} back and give this file the next free number; otherwise `cargo host db-reset`",
                files.path(applied)
            ),
        ),
        Kind::DivergentVersion(applied, _) => (
            Some(applied),
            "was changed after it was applied: undo the change and add a new file, or `cargo host db-reset`".to_owned(),
        ),
        Kind::MissingVersion(missing) => (
            Some(missing),
            match files.list.iter().any(|file| file.to_string() == missing.to_string()) {
                true => "has a lower number than one that is applied: give it a higher one, or `cargo host db-reset`",
                false => "was applied, and its file is gone: restore it, or `cargo host db-reset`; or name another folder, or none, with --migrations",
            }
            .to_owned(),
        ),
        _ => (None, error.to_string()),
    };
    MigrationFailure::new(file.map(|file| files.path(file)), message)
}

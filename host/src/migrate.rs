//! Applies `migrations/` with refinery: each file and its history row in one transaction.
//!
//! Works without the app, which may not compile until the schema is right. Owns the words for what went wrong, the
//! lock that keeps two processes from migrating at once, and the way of a statement that allows no transaction;
//! the connection is the caller's.

use std::{path::Path, time::Duration};

use refinery::{Migration, Runner, Target};
use serde::Serialize;
use shared::db::describe;
use tokio::time::Instant;
use tokio_postgres::{Client, SimpleQueryMessage, error::ErrorPosition};
use tokio_util::sync::CancellationToken;

/// The first line of a file whose one statement cannot run in a transaction: CREATE INDEX CONCURRENTLY, VACUUM …
const NO_TRANSACTION: &str = "-- no-transaction";

/// Refinery applies nothing up to here, and looks at everything.
const NOTHING: Target = Target::Version(-1);

/// `hashtext` of a name of ours, on whichever database: sessions that migrate it exclude each other.
const LOCK: &str = "SELECT pg_try_advisory_lock(hashtext('host:migrate'))";
const UNLOCK: &str = "SELECT pg_advisory_unlock(hashtext('host:migrate'))";

/// Tried, and not waited for at the server: a session that waits in there holds a snapshot, which CREATE INDEX
/// CONCURRENTLY of the one that has the lock would wait for in turn.
const LOCK_LIMIT: Duration = Duration::from_secs(30);
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Why the schema is not what `migrations/` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}{}{message}", file.as_deref().unwrap_or_default(), place(file, line))]
pub(crate) struct Failure {
    /// Below the root of the project.
    pub(crate) file: Option<String>,
    pub(crate) line: Option<usize>,
    /// PostgreSQL's words, with detail and hint; or ours, with what to do.
    pub(crate) message: String,
    /// It may go away by itself: worth another try unasked.
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

impl Failure {
    pub(crate) fn new(file: Option<String>, message: String) -> Self {
        Self {
            is_transient: file.is_none(),
            file,
            line: None,
            message,
        }
    }
}

/// What the database has, and what it lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    pub(crate) applied: Vec<String>,
    pub(crate) pending: Vec<String>,
}

/// The files in their order, checked. One without a statement is still being written: it counts for nothing.
pub(crate) fn load(directory: &Path) -> Result<Vec<Migration>, Failure> {
    let mut files = all(directory)?;
    files.retain(|file| has_statement(file.sql().unwrap_or_default()));
    Ok(files)
}

/// The highest number among the files, written or not.
pub(crate) fn last_version(directory: &Path) -> Result<i64, Failure> {
    let files = all(directory)?;
    Ok(files.last().map_or(0, |file| i64::from(file.version())))
}

fn all(directory: &Path) -> Result<Vec<Migration>, Failure> {
    // refinery skips a misnamed one with a log line that nobody sees.
    if let Ok(entries) = std::fs::read_dir(directory) {
        for name in entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
        {
            if let Some(stem) = name.strip_suffix(".sql")
                && Migration::unapplied(stem, "").is_err()
            {
                return Err(Failure::new(
                    Some(format!("migrations/{name}")),
                    "is not named V<number>__<name>.sql, for example V3__add_colour.sql".into(),
                ));
            }
        }
    }
    let mut files = refinery::load_sql_migrations(directory)
        .map_err(|error| Failure::new(None, format!("cannot read migrations: {error}")))?;
    files.sort();
    Ok(files)
}

fn has_statement(sql: &str) -> bool {
    sql.lines()
        .map(str::trim)
        .any(|line| !line.is_empty() && !line.starts_with("--"))
}

/// What came of a run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) status: Status,
    /// Of `status.applied`, what this run has added.
    pub(crate) now: Vec<String>,
    pub(crate) failure: Option<Failure>,
}

/// Who looks after a run.
pub(crate) struct RunControl<'a> {
    /// Told the name of each file before it is applied.
    pub(crate) before_file: &'a (dyn Fn(&str) + Send + Sync),
    /// Cancelled when nothing more is to be begun. What is at work is for its owner to end, at the server.
    pub(crate) stop: &'a CancellationToken,
}

/// Compares files and database, and applies what is pending if `apply`.
///
/// A file that fails is rolled back whole; those before it stay.
pub(crate) async fn run(
    client: &mut Client,
    files: &[Migration],
    apply: bool,
    control: &RunControl<'_>,
) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.failure = match lock(client, control.stop).await {
        Ok(()) => run_locked(client, files, apply, control, &mut outcome)
            .await
            .err(),
        Err(failure) => Some(failure),
    };
    if let (Some(failure), true) = (&mut outcome.failure, control.stop.is_cancelled()) {
        failure.message = format!("cancelled; {}", failure.message);
        failure.is_transient = false;
    }
    // A lost connection has given the lock back already.
    drop(client.batch_execute(UNLOCK).await);
    outcome
}

async fn run_locked(
    client: &mut Client,
    files: &[Migration],
    apply: bool,
    control: &RunControl<'_>,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    // A large table takes its time. Whoever lends the connection has its session reset, or closes it.
    drop(client.batch_execute("SET statement_timeout = 0").await);
    let verified = refine(client, files, NOTHING).await;
    outcome.status = compare(client, files).await?;
    verified?;
    if apply {
        for name in outcome.status.pending.clone() {
            if control.stop.is_cancelled() {
                return Err(stopped());
            }
            (control.before_file)(&name);
            let file = files.iter().find(|file| file.to_string() == name);
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
    files: &[Migration],
    file: &Migration,
) -> Result<(), Failure> {
    let sql = file.sql().unwrap_or_default();
    if !sql.starts_with(NO_TRANSACTION) {
        return refine(client, files, Target::Version(file.version())).await;
    }
    client
        .batch_execute(sql)
        .await
        .map_err(|error| failed(file, &error))?;
    refine(client, files, Target::FakeVersion(file.version())).await
}

/// One pass of refinery, up to `target`.
async fn refine(client: &mut Client, files: &[Migration], target: Target) -> Result<(), Failure> {
    let runner = Runner::new(files).set_target(target);
    match runner.run_async(client).await {
        Ok(_) => Ok(()),
        Err(error) => Err(explain(&error, files, target)),
    }
}

async fn compare(client: &mut Client, files: &[Migration]) -> Result<Status, Failure> {
    let applied = Runner::new(files)
        .get_applied_migrations_async(client)
        .await
        .map_err(|error| explain(&error, files, NOTHING))?;
    let pending = files
        .iter()
        .filter(|file| applied.iter().all(|done| done.version() != file.version()));
    Ok(Status {
        pending: pending.map(ToString::to_string).collect(),
        applied: applied.iter().map(ToString::to_string).collect(),
    })
}

fn stopped() -> Failure {
    Failure::new(None, "nothing more was begun".to_owned())
}

async fn lock(client: &Client, stop: &CancellationToken) -> Result<(), Failure> {
    let since = Instant::now();
    loop {
        if stop.is_cancelled() {
            return Err(stopped());
        }
        let answer = client
            .simple_query(LOCK)
            .await
            .map_err(|error| Failure::new(None, describe(&error)))?;
        let got = |message: &_| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("t"));
        if answer.iter().any(got) {
            return Ok(());
        }
        if since.elapsed() > LOCK_LIMIT {
            let message = format!(
                "another process has been migrating this database for {} s; to see which: SELECT pid, application_name FROM pg_stat_activity",
                LOCK_LIMIT.as_secs()
            );
            return Err(Failure::new(None, message));
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

fn failed(file: &Migration, error: &tokio_postgres::Error) -> Failure {
    let position = error.as_db_error().and_then(|db| db.position());
    let line = match position {
        // In characters, from 1. Within a function's body it points into another text.
        Some(ErrorPosition::Original(at)) => file.sql().map(|sql| {
            let before = sql.chars().take((*at as usize).saturating_sub(1));
            1 + before.filter(|character| *character == '\n').count()
        }),
        _ => None,
    };
    Failure {
        file: Some(format!("migrations/{file}.sql")),
        line,
        message: describe(error),
        is_transient: false,
    }
}

/// refinery's outer message is "`error applying migration V3__x`, `db error`": what PostgreSQL said is in the source.
fn explain(error: &refinery::Error, files: &[Migration], target: Target) -> Failure {
    use refinery::error::Kind;
    let aimed_at = match target {
        Target::Version(version) => files.iter().find(|file| file.version() == version),
        _ => None,
    };
    let (file, message) = match error.kind() {
        Kind::Connection(what, source) => match (source.downcast_ref(), aimed_at) {
            (Some(error), Some(file)) => return failed(file, error),
            (Some(error), None) => (None, format!("{what}: {}", describe(error))),
            (None, _) => (None, format!("{what}: {source}")),
        },
        Kind::DivergentVersion(applied, _) => (
            Some(applied),
            "was changed after it was applied: undo the change and add a new file, or `just db-reset`".to_owned(),
        ),
        Kind::MissingVersion(missing) => (
            Some(missing),
            "is missing or out of order: it was applied and its file is gone, or its number is lower than one already applied; restore or renumber it, or `just db-reset`".to_owned(),
        ),
        _ => (None, error.to_string()),
    };
    Failure::new(file.map(|file| format!("migrations/{file}.sql")), message)
}

//! Applies `migrations/` with refinery: each file and its history row in one transaction.
//!
//! Works without the app, which may not compile until the schema is right. Owns the words for what went wrong;
//! the connection is the caller's.

use std::path::Path;

use refinery::{Migration, Runner};
use shared::db::describe;
use tokio_postgres::Client;

/// Why the schema is not what `migrations/` says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MigrateError {
    #[error("cannot read migrations: {0}")]
    Files(refinery::Error),
    #[error(
        "migrations/{0} has no name that counts: V<number>__<name>.sql, for example V3__add_colour.sql"
    )]
    Name(String),
    #[error("{0}")]
    Applied(String),
    #[error("cannot connect to PostgreSQL to migrate: {}", describe(.0))]
    Connect(tokio_postgres::Error),
}

/// The files, checked: refinery skips a misnamed one with a log line that nobody sees.
pub(crate) fn load(directory: &Path) -> Result<Vec<Migration>, MigrateError> {
    if let Ok(entries) = std::fs::read_dir(directory) {
        for name in entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
        {
            if let Some(stem) = name.strip_suffix(".sql")
                && refinery::Migration::unapplied(stem, "").is_err()
            {
                return Err(MigrateError::Name(name));
            }
        }
    }
    refinery::load_sql_migrations(directory).map_err(MigrateError::Files)
}

/// Applies what is pending and returns the names of what was applied.
///
/// A file that fails is rolled back whole; those before it stay.
pub(crate) async fn run(
    client: &mut Client,
    migrations: &[Migration],
) -> Result<Vec<String>, MigrateError> {
    let report = Runner::new(migrations)
        .run_async(client)
        .await
        .map_err(|error| MigrateError::Applied(explain(&error)))?;
    Ok(report
        .applied_migrations()
        .iter()
        .map(ToString::to_string)
        .collect())
}

/// refinery's outer message is "`error applying migration V3__x`, `db error`": what PostgreSQL said is in the source.
fn explain(error: &refinery::Error) -> String {
    use refinery::error::Kind;
    match error.kind() {
        Kind::Connection(what, source) => match source.downcast_ref::<tokio_postgres::Error>() {
            Some(error) => format!("{what}: {}", describe(error)),
            None => format!("{what}: {source}"),
        },
        Kind::DivergentVersion(applied, _) => format!(
            "migrations/{applied}.sql was changed after it had been applied: undo the change and add a new file, or `just db-reset`"
        ),
        Kind::MissingVersion(missing) => format!(
            "migration {missing} is out of order or gone: it was applied without its file, or its number is lower than one applied already; restore or renumber it, or `just db-reset`"
        ),
        _ => error.to_string(),
    }
}

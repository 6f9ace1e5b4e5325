//! Seeds: SQL files that fill a database which has its tables and nothing in them. Run once, by the process that made the
//! database empty; nothing is recorded, and nothing is run twice.

use std::{fs, io, path::Path};

use tokio_postgres::Client;

use crate::{MigrationFailure, failed};

/// Runs each `.sql` file of a folder, in the order of their names and each in a transaction. A missing folder has none.
/// Names are shown relative to `root`; `on_seeded` gets each name.
///
/// # Errors
/// A file cannot be read, or PostgreSQL refuses it: nothing of that file stays, and those behind it do not run.
pub async fn seed(
    client: &mut Client,
    (root, folder): (&Path, &Path),
    on_seeded: &(dyn Fn(String) + Sync),
) -> Result<(), MigrationFailure> {
    let unreadable = |error: io::Error| MigrationFailure {
        is_transient: false,
        ..MigrationFailure::new(Some(folder.display().to_string()), error.to_string())
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(unreadable)?,
    };
    let files = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut files: Vec<_> = files.collect::<Result<_, _>>().map_err(unreadable)?;
    files.retain(|file| file.extension().is_some_and(|it| it == "sql"));
    files.sort();
    for file in files {
        let shown = file
            .strip_prefix(root)
            .unwrap_or(&file)
            .display()
            .to_string();
        let refused = |message| MigrationFailure {
            is_transient: false,
            ..MigrationFailure::new(Some(shown.clone()), message)
        };
        let sql = fs::read_to_string(&file).map_err(|error| refused(error.to_string()))?;
        let run = async {
            let transaction = client.transaction().await?;
            // As long as it takes, as for a migration.
            transaction
                .batch_execute("SET LOCAL statement_timeout = 0")
                .await?;
            transaction.batch_execute(&sql).await?;
            transaction.commit().await
        };
        run.await.map_err(|error| failed(&shown, &sql, &error))?;
        on_seeded(shown);
    }
    Ok(())
}

//! Finds the SQL files in the folder of migrations. Reads none of them.

use std::{ffi::OsStr, io, path::Path};

use walkdir::WalkDir;

use crate::MigrationFailure;

/// The SQL files at and below the folder, by their paths from there. No folder, no migrations: not every project has
/// some, and not every branch.
pub(super) fn sql_files(directory: &Path, shown: &str) -> Result<Vec<String>, MigrationFailure> {
    let mut found = Vec::new();
    let is_hidden = |name: &OsStr| name.as_encoded_bytes().starts_with(b".");
    let walk = WalkDir::new(directory)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name()));
    for entry in walk {
        match entry {
            Ok(entry) => {
                let path = entry.path();
                let is_sql = path.extension().is_some_and(|it| it == "sql");
                if is_sql && entry.file_type().is_file() {
                    let path = path.strip_prefix(directory).unwrap_or(path);
                    found.push(path.to_string_lossy().into_owned());
                }
            }
            // A link that leads nowhere, as editors make them for a lock, or to a folder above itself.
            Err(error) if is_gone(&error) || error.loop_ancestor().is_some() => {}
            Err(error) => {
                let message = format!("cannot be read: {error}");
                return Err(MigrationFailure::new(Some(shown.to_owned()), message));
            }
        }
    }
    Ok(found)
}

fn is_gone(error: &walkdir::Error) -> bool {
    error
        .io_error()
        .is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

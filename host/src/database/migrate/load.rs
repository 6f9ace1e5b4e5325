//! The files to apply: refuses those that the tool would mix up, and a folder of which it would apply nothing.

use chrono::Utc;

use super::{Files, Migration, MigrationFailure, files::read, next};
use crate::config::Project;

/// The files, checked.
pub(crate) fn load(project: &Project) -> Result<Files, MigrationFailure> {
    let files = read(project)?;
    refuse_same_versions(&files)?;
    match files.ignored.first() {
        Some(first) if files.list.is_empty() => {
            let why = format!(
                "{}; name the right folder with --migrations FOLDER, or start with --migrations none if something else applies these",
                first.why
            );
            Err(MigrationFailure::new(Some(first.file.clone()), why))
        }
        _ => Ok(files),
    }
}

/// The tools compare by version alone: the second file would fail on the history table's key under the first one's
/// name, pass for a changed first one, or be left out.
fn refuse_same_versions(files: &Files) -> Result<(), MigrationFailure> {
    let same = |pair: &&[Migration]| pair[0].named.version == pair[1].named.version;
    let Some(pair) = files.list.windows(2).find(same) else {
        return Ok(());
    };
    let message = format!(
        "has the same number as {}: give the one of them that is not applied yet the number {}",
        pair[0].path,
        next::version(files, Utc::now()),
    );
    Err(MigrationFailure::new(Some(pair[1].path.clone()), message))
}

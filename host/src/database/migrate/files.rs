//! The files of migrations: reads them and refuses what refinery would leave out or mix up.

use std::{fmt::Display, path::Path};

use refinery::Migration;

use super::MigrationFailure;
use crate::config::Project;

/// The files in order, and their folder.
pub(crate) struct Files {
    pub(super) list: Vec<Migration>,
    /// As it is shown: relative to the root of the project.
    pub(super) folder: String,
}

impl Files {
    /// The path of a migration's file, as it is shown.
    pub(crate) fn path(&self, migration: impl Display) -> String {
        format!("{}/{migration}.sql", self.folder)
    }

    /// The path of each.
    pub(crate) fn paths(&self) -> impl Iterator<Item = String> {
        self.list.iter().map(|migration| self.path(migration))
    }
}

/// The files, checked. One without a statement is still being written and is left out.
pub(crate) fn load(project: &Project) -> Result<Files, MigrationFailure> {
    let mut files = all(project)?;
    refuse_same_numbers(&files)?;
    let list = &mut files.list;
    list.retain(|file| has_statement(file.sql().unwrap_or_default()));
    Ok(files)
}

/// The files that [`load`] leaves out.
pub(crate) fn unfinished(project: &Project) -> Result<Files, MigrationFailure> {
    let mut files = all(project)?;
    let list = &mut files.list;
    list.retain(|file| !has_statement(file.sql().unwrap_or_default()));
    Ok(files)
}

/// The path of a new file: with the number after the highest of all, including those without a statement.
pub(crate) fn next(project: &Project, name: &str) -> Result<String, MigrationFailure> {
    let files = all(project)?;
    Ok(files.path(format_args!("V{}__{name}", last_of(&files.list) + 1)))
}

fn last_of(files: &[Migration]) -> i64 {
    files.last().map_or(0, |file| i64::from(file.version()))
}

fn all(project: &Project) -> Result<Files, MigrationFailure> {
    let (list, folder) = match project.migrations() {
        Some(directory) => {
            let folder = project.relative(directory).display().to_string();
            (in_folder(directory, &folder)?, folder)
        }
        None => (Vec::new(), String::new()),
    };
    Ok(Files { list, folder })
}

fn in_folder(directory: &Path, shown: &str) -> Result<Vec<Migration>, MigrationFailure> {
    // No folder, no migrations: not every project has some, and not every branch.
    if !directory.exists() {
        return Ok(Vec::new());
    }
    // refinery skips a misnamed file and only logs it, which is easily missed.
    if let Ok(entries) = std::fs::read_dir(directory) {
        for name in entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
        {
            if let Some(stem) = name.strip_suffix(".sql")
                && !is_well_named(stem)
            {
                return Err(MigrationFailure::new(
                    Some(format!("{shown}/{name}")),
                    "is not named V<number>__<name>.sql with letters, digits and _ in the name, for example V3__add_colour.sql".into(),
                ));
            }
        }
    }
    let mut files = refinery::load_sql_migrations(directory)
        .map_err(|error| MigrationFailure::new(None, format!("cannot read migrations: {error}")))?;
    files.sort();
    Ok(files)
}

/// refinery's parser takes any name that begins well, `V3__add-colour` for one, and its search then skips the file.
fn is_well_named(stem: &str) -> bool {
    let Some((_, name)) = stem.split_once("__") else {
        return false;
    };
    stem.starts_with(['V', 'U'])
        && Migration::unapplied(stem, "").is_ok_and(|parsed| parsed.name() == name)
}

/// refinery compares by number alone: the second file would fail on the history table's key, under the first one's
/// name, or pass for a changed first one.
fn refuse_same_numbers(files: &Files) -> Result<(), MigrationFailure> {
    let same = |pair: &&[Migration]| pair[0].version() == pair[1].version();
    let Some(pair) = files.list.windows(2).find(same) else {
        return Ok(());
    };
    let message = format!(
        "has the same number as {}: give the one of them that is not applied yet the number {}",
        files.path(&pair[0]),
        last_of(&files.list) + 1
    );
    Err(MigrationFailure::new(Some(files.path(&pair[1])), message))
}

fn has_statement(sql: &str) -> bool {
    sql.lines()
        .map(str::trim)
        .any(|line| !line.is_empty() && !line.starts_with("--"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_right_as_a_whole() {
        for (stem, right) in [
            ("V3__add_colour", true),
            ("U3__view", true),
            ("V03__a__b", true),
            ("V3__add-colour", false),
            ("V3__add colour", false),
            ("V3_add", false),
            ("V3.1__add", false),
            ("|3__add", false),
            ("next", false),
        ] {
            assert_eq!(is_well_named(stem), right, "{stem}");
        }
    }
}

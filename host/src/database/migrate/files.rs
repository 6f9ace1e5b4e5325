//! The files of `migrations/`: reads them and refuses what refinery would leave out or mix up.

use std::path::Path;

use refinery::Migration;

use super::MigrationFailure;

/// The files in order, checked. A file without a statement is still being written and is left out.
pub(crate) fn load(directory: &Path) -> Result<Vec<Migration>, MigrationFailure> {
    let mut files = all(directory)?;
    refuse_same_numbers(&files)?;
    files.retain(|file| has_statement(file.sql().unwrap_or_default()));
    Ok(files)
}

/// The files that [`load`] leaves out.
pub(crate) fn unfinished(directory: &Path) -> Result<Vec<Migration>, MigrationFailure> {
    let mut files = all(directory)?;
    files.retain(|file| !has_statement(file.sql().unwrap_or_default()));
    Ok(files)
}

/// The highest version of all files, including those without a statement.
pub(crate) fn last_version(directory: &Path) -> Result<i64, MigrationFailure> {
    Ok(last_of(&all(directory)?))
}

fn last_of(files: &[Migration]) -> i64 {
    files.last().map_or(0, |file| i64::from(file.version()))
}

fn all(directory: &Path) -> Result<Vec<Migration>, MigrationFailure> {
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
                    Some(format!("migrations/{name}")),
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
fn refuse_same_numbers(files: &[Migration]) -> Result<(), MigrationFailure> {
    let same = |pair: &&[Migration]| pair[0].version() == pair[1].version();
    let Some(pair) = files.windows(2).find(same) else {
        return Ok(());
    };
    let message = format!(
        "has the same number as migrations/{}.sql: give the one of them that is not applied yet the number {}",
        pair[0],
        last_of(files) + 1
    );
    Err(MigrationFailure::new(
        Some(format!("migrations/{}.sql", pair[1])),
        message,
    ))
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

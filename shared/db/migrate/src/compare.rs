//! Compares files with what was applied: what is pending, and what contradicts. Asks and changes nothing.

use crate::style::Style;
use crate::{
    Files, Migration, MigrationFailure, MigrationStatus,
    history::{History, Row},
    naming::number,
    table::table,
};

pub(super) fn status(files: &Files, history: &History) -> MigrationStatus {
    let applied = history.rows.iter().map(|row| match file_of(files, row) {
        Some(file) => file.named.name.clone(),
        None => name_of(row, history.style),
    });
    let (pending, pending_files) = pending(files, history)
        .map(|file| (file.named.name.clone(), file.path.clone()))
        .unzip();
    MigrationStatus {
        applied: applied.collect(),
        pending,
        pending_files,
    }
}

/// What the tool would apply next, in its order.
pub(super) fn pending<'a>(
    files: &'a Files,
    history: &History,
) -> impl Iterator<Item = &'a Migration> {
    let is_applied = |file: &&Migration| {
        let mut rows = history.rows.iter();
        rows.any(|row| row.version == file.named.version)
    };
    files
        .list
        .iter()
        .filter(move |file| !is_applied(file) && file.has_statement())
}

/// Fails on what the tool would refuse.
pub(super) fn verify(files: &Files, history: &History) -> Result<(), MigrationFailure> {
    for row in &history.rows {
        verify_row(files, history, row)?;
    }
    // sqlx and diesel apply a number that comes late.
    let last = history
        .rows
        .iter()
        .filter_map(|row| number(&row.version))
        .max();
    let comes_late =
        |file: &&Migration| file.named.name.starts_with('V') && number(&file.named.version) <= last;
    match pending(files, history).find(comes_late) {
        Some(file) if history.style == Style::Refinery => Err(at(
            file,
            "has a lower number than one that is applied: give it a higher one, or `cargo host db-reset`",
        )),
        _ => verify_width(files, history),
    }
}

/// A new table of refinery's is as wide as the numbers; one that is there stays as it is.
fn verify_width(files: &Files, history: &History) -> Result<(), MigrationFailure> {
    let is_narrow = history.style == Style::Refinery && history.exists && !history.wide;
    let is_wide = |file: &&Migration| number(&file.named.version) > Some(i32::MAX.into());
    match pending(files, history).find(is_wide) {
        Some(file) if is_narrow => Err(at(
            file,
            "has a number above 2147483647, for which the table of this database has no room, since it was made without refinery's \
             feature `int8-versions`: give it a lower one, or `cargo host db-reset`, which makes the table again",
        )),
        _ => Ok(()),
    }
}

fn verify_row(files: &Files, history: &History, row: &Row) -> Result<(), MigrationFailure> {
    let style = history.style;
    let Some(file) = file_of(files, row) else {
        return match style {
            // Its tool does not mind, and forgets how to undo it.
            Style::Diesel => Ok(()),
            Style::Refinery | Style::Sqlx => Err(MigrationFailure::new(
                Some(path_of(files, row, style)),
                "was applied, and its file is gone: restore it, or `cargo host db-reset`; or name another folder, or none, with --migrations".to_owned(),
            )),
        };
    };
    if row.unfinished {
        let message = format!(
            "was begun and not ended, by sqlx, which has noted success = false in {}: repair what it left in the database and delete that row, or `cargo host db-reset`",
            table(style)
        );
        return Err(at(file, &message));
    }
    let is_other = style != Style::Diesel && row.title.as_ref() != Some(&file.named.title);
    let is_changed = row.checksum != history.checksum(file);
    match (is_other, is_changed) {
        // sqlx compares contents only.
        (true, _) if is_changed || style == Style::Refinery => {
            let message = format!(
                "takes the number of {}, which is applied and whose file is gone, as after a change of branch: if both belong \
                 together, bring {} back and give this file the next free number; otherwise `cargo host db-reset`",
                name_of(row, style),
                path_of(files, row, style)
            );
            Err(at(file, &message))
        }
        (_, true) => Err(at(
            file,
            "was changed after it was applied: undo the change and add a new file, or `cargo host db-reset`",
        )),
        _ => Ok(()),
    }
}

fn at(file: &Migration, message: &str) -> MigrationFailure {
    MigrationFailure::new(Some(file.path.clone()), message.to_owned())
}

fn file_of<'a>(files: &'a Files, row: &Row) -> Option<&'a Migration> {
    files
        .list
        .iter()
        .find(|file| file.named.version == row.version)
}

/// What its file was called, as far as the table tells.
fn name_of(row: &Row, style: Style) -> String {
    let (version, title) = (&row.version, row.title.as_deref().unwrap_or_default());
    match style {
        Style::Refinery => format!("V{version}__{title}"),
        // Numbers that are counted have four digits.
        Style::Sqlx => format!("{version:0>4}_{}", title.replace(' ', "_")),
        Style::Diesel => version.clone(),
    }
}

fn path_of(files: &Files, row: &Row, style: Style) -> String {
    let is_up = files.list.last().is_some_and(|file| file.reversible);
    let end = match style {
        Style::Sqlx if is_up => ".up.sql",
        Style::Refinery | Style::Sqlx => ".sql",
        Style::Diesel => "/up.sql",
    };
    format!("{}/{}{end}", files.folder, name_of(row, style))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naming::Named;

    /// Of files with the same content; a row is `version title`, and ` !` if it is unfinished.
    fn compared(paths: &[&str], rows: &[&str], changed: bool) -> (String, String) {
        let list: Vec<_> = paths
            .iter()
            .map(|path| Migration {
                named: Named::of(path).expect("a name"),
                path: format!("migrations/{path}"),
                sql: "SELECT 1".to_owned(),
                in_transaction: true,
                reversible: false,
            })
            .collect();
        let style = list[0].named.style;
        let mut files = Files {
            style,
            list,
            folder: "migrations".into(),
            ..Files::default()
        };
        let mut history = History {
            style,
            exists: true,
            ..History::default()
        };
        for row in rows {
            let mut parts = row.split(' ');
            let row = Row {
                version: parts.next().expect("a version").to_owned(),
                title: parts.next().map(str::to_owned),
                unfinished: parts.next().is_some(),
                checksum: None,
            };
            let checksum = file_of(&files, &row).and_then(|file| history.checksum(file));
            history.rows.push(Row { checksum, ..row });
        }
        if changed {
            files.list[0].sql.push(';');
        }
        let said =
            verify(&files, &history).map_or_else(|error| error.to_string(), |()| String::new());
        (status(&files, &history).pending.join(" "), said)
    }

    #[test]
    fn each_tool_refuses_what_it_refuses_itself() {
        for (paths, rows, changed, pending, said) in [
            // A file that comes late.
            (
                ["V1__a.sql", "V2__b.sql"],
                "2 b",
                false,
                "V1__a",
                "V1__a.sql: has a lower number",
            ),
            (["U1__a.sql", "V2__b.sql"], "2 b", false, "U1__a", ""),
            (["1_a.sql", "2_b.sql"], "2 b", false, "1_a", ""),
            (["1_a/up.sql", "2_b/up.sql"], "2", false, "1_a", ""),
            (
                ["V1__a.sql", "V20240101000000__b.sql"],
                "1 a",
                false,
                "V20240101000000__b",
                "V20240101000000__b.sql: has a number above",
            ),
            // A changed file.
            (
                ["V1__a.sql", "V2__b.sql"],
                "1 a",
                true,
                "V2__b",
                "V1__a.sql: was changed after",
            ),
            (
                ["1_a.sql", "2_b.sql"],
                "1 a",
                true,
                "2_b",
                "1_a.sql: was changed after",
            ),
            (["1_a/up.sql", "2_b/up.sql"], "1", true, "2_b", ""),
            // A file that is gone.
            (
                ["V1__a.sql", "V3__c.sql"],
                "2 b",
                false,
                "V1__a V3__c",
                "V2__b.sql: was applied, and its file is gone",
            ),
            (
                ["1_a.sql", "3_c.sql"],
                "2 b",
                false,
                "1_a 3_c",
                "0002_b.sql: was applied, and its file is gone",
            ),
            (["1_a/up.sql", "3_c/up.sql"], "2", false, "1_a 3_c", ""),
            // Another one with its number.
            (
                ["V1__a.sql", "V2__b.sql"],
                "1 old",
                false,
                "V2__b",
                "V1__a.sql: takes the number of V1__old",
            ),
            (
                ["1_a.sql", "2_b.sql"],
                "1 old",
                true,
                "2_b",
                "1_a.sql: takes the number of 0001_old",
            ),
            (["1_a.sql", "2_b.sql"], "1 old", false, "2_b", ""),
            (
                ["1_a.sql", "2_b.sql"],
                "1 a !",
                false,
                "2_b",
                "1_a.sql: was begun and not ended",
            ),
        ] {
            let found = compared(&paths, &[rows], changed);
            assert_eq!(found.0, pending, "{paths:?}, {rows}");
            let fits = found.1.contains(said) && said.is_empty() == found.1.is_empty();
            assert!(fits, "{paths:?}, {rows}: {}", found.1);
        }
    }
}

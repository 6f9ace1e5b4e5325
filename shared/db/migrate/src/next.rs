//! The next file in a folder, numbered and undone as those that are there. Makes none.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{Files, MigrationFailure, files::read, naming::number};
use crate::{source::Source, style::Style};

/// The paths of new files: the migration, and what undoes it if the others have that.
pub fn next(source: &Source, name: &str) -> Result<Vec<String>, MigrationFailure> {
    let files = read(source)?;
    let names = names(&files, name, Utc::now());
    let path = |name| format!("{}/{name}", files.folder);
    Ok(names.into_iter().map(path).collect())
}

fn names(files: &Files, name: &str, now: DateTime<Utc>) -> Vec<String> {
    let version = version(files, now);
    let last = files.list.last();
    match files.style {
        Style::Refinery => vec![format!("V{version}__{name}.sql")],
        Style::Sqlx if last.is_some_and(|it| it.reversible) => vec![
            format!("{version}_{name}.up.sql"),
            format!("{version}_{name}.down.sql"),
        ],
        Style::Sqlx => vec![format!("{version}_{name}.sql")],
        // diesel makes both by default.
        Style::Diesel if last.is_none_or(|it| it.reversible) => vec![
            format!("{version}_{name}/up.sql"),
            format!("{version}_{name}/down.sql"),
        ],
        Style::Diesel => vec![format!("{version}_{name}/up.sql")],
    }
}

/// The version after all that are there, as the tool would write it.
pub(super) fn version(files: &Files, now: DateTime<Utc>) -> String {
    let numbers: Vec<i64> = files
        .list
        .iter()
        .filter_map(|file| number(&file.named.version))
        .collect();
    let last = numbers.last().copied();
    match files.style {
        Style::Refinery => (last.unwrap_or(0) + 1).to_string(),
        // As sqlx's own tool infers it: only two in a row, or a single first one, are counted.
        Style::Sqlx => match numbers[..] {
            [only @ (0 | 1)] => format!("{:04}", only + 1),
            [.., before, last] if last - before == 1 => format!("{:04}", last + 1),
            _ => free_time(files, now, "%Y%m%d%H%M%S"),
        },
        Style::Diesel => free_time(files, now, "%Y-%m-%d-%H%M%S"),
    }
}

/// The time, or the first second after it that no file has.
fn free_time(files: &Files, now: DateTime<Utc>, format: &str) -> String {
    let is_free = |time: &String| {
        let version = time.replace('-', "");
        files.list.iter().all(|file| file.named.version != version)
    };
    let mut seconds = (0..).map(|second| now + TimeDelta::seconds(second));
    seconds
        .by_ref()
        .map(|time| time.format(format).to_string())
        .find(is_free)
        .expect("there are fewer files than seconds")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{files::Migration, naming::Named};

    #[test]
    fn the_next_one_is_as_those_before_it() {
        let now = "2026-01-31T12:00:00Z".parse().expect("a time");
        for (style, there, expected) in [
            (Style::Refinery, &[][..], "V1__x.sql"),
            (Style::Refinery, &["V9__a.sql", "V10__b.sql"], "V11__x.sql"),
            (Style::Sqlx, &[], "20260131120000_x.sql"),
            (
                Style::Sqlx,
                &["20250101000000_a.sql"],
                "20260131120000_x.sql",
            ),
            (
                Style::Sqlx,
                &["20260131120000_a.sql"],
                "20260131120001_x.sql",
            ),
            (Style::Sqlx, &["0001_a.sql"], "0002_x.sql"),
            (
                Style::Sqlx,
                &["0001_a.up.sql", "0002_b.up.sql"],
                "0003_x.up.sql 0003_x.down.sql",
            ),
            (
                Style::Diesel,
                &[],
                "2026-01-31-120000_x/up.sql 2026-01-31-120000_x/down.sql",
            ),
            (
                Style::Diesel,
                &["20260131120000_a/up.sql"],
                "2026-01-31-120001_x/up.sql",
            ),
        ] {
            let list = there.iter().map(|path| Migration {
                named: Named::of(path).expect("a name"),
                path: (*path).to_owned(),
                sql: String::new(),
                in_transaction: true,
                reversible: path.ends_with(".up.sql"),
            });
            let files = Files {
                style,
                list: list.collect(),
                ..Files::default()
            };
            assert_eq!(names(&files, "x", now).join(" "), expected, "{there:?}");
        }
    }
}

//! The files of migrations: reads them in their tool's order, and tells those that it would leave out.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    MigrationFailure,
    folder::sql_files,
    naming::{Named, in_order, style_of},
};
use crate::{source::Source, style::Style};

/// What the first line says in a file whose only statement cannot run in a transaction, such as CREATE INDEX
/// CONCURRENTLY. sqlx has the same.
const NO_TRANSACTION: &str = "-- no-transaction";

/// What `sqlx migrate add` writes into a new file.
const NEW_IN_SQLX: &str = "-- Add migration script here\n";

/// A migration on disk.
#[derive(Debug)]
pub(crate) struct Migration {
    pub(super) named: Named,
    /// As it is shown: relative to the root of the source.
    pub(super) path: String,
    pub(super) sql: String,
    pub(super) in_transaction: bool,
    /// There is a file that undoes it.
    pub(super) reversible: bool,
}

impl Migration {
    /// One without a statement is still being written.
    pub(super) fn has_statement(&self) -> bool {
        self.sql.lines().any(is_statement)
    }

    /// What the file may have been before it had a statement: nothing, what sqlx's own tool writes into a new one, or
    /// the comments that it still begins with.
    pub(super) fn beginnings(&self) -> impl Iterator<Item = &str> {
        let lines = self.sql.split_inclusive('\n');
        let comments = lines.take_while(|line| !is_statement(line));
        let ends = comments.scan(0, |end, line| {
            *end += line.len();
            Some(*end)
        });
        let whole = ends.map(|end| &self.sql[..end]);
        let lines = whole.flat_map(|text| [text, text.trim_end()]);
        ["", NEW_IN_SQLX].into_iter().chain(lines)
    }
}

/// Whether this line is more than a comment.
fn is_statement(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with("--")
}

/// A file that looks like a migration and is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// As it is shown.
    pub file: String,
    pub why: String,
}

/// The files in order, and their folder.
#[derive(Debug, Default)]
pub struct Files {
    pub style: Style,
    pub(super) list: Vec<Migration>,
    pub ignored: Vec<Ignored>,
    /// As it is shown.
    pub(super) folder: String,
}

impl Files {
    /// The paths of those that are left out because they have no statement yet.
    pub fn unfinished(&self) -> impl Iterator<Item = &str> {
        let unfinished = self.list.iter().filter(|file| !file.has_statement());
        unfinished.map(|file| file.path.as_str())
    }
}

/// The files, as they are.
pub(super) fn read(source: &Source) -> Result<Files, MigrationFailure> {
    let Some(directory) = &source.folder else {
        return Ok(Files::default());
    };
    let folder = source.shown(directory);
    let paths = sql_files(directory, &folder)?;
    let named: Vec<_> = paths.iter().map(|path| Named::of(path)).collect();
    let manifest = source.shown(&source.manifest);
    let found = match source.style() {
        None => {
            let both = paths.iter().map(String::as_str).zip(&named);
            style_of(both.map(|(path, named)| (path, named.as_ref())))
                .map_err(|mixed| several(&manifest, &folder, &mixed))?
        }
        Some(line) if line.style.is_none() => {
            let why = "names no tool whose migrations the host applies";
            return Err(MigrationFailure::at_style(source, &line, why));
        }
        Some(line) => line.style,
    };
    let mut files = Files {
        style: found.unwrap_or_default(),
        folder,
        ..Files::default()
    };
    for (path, named) in paths.iter().zip(named) {
        files.add(directory, path, named, found)?;
    }
    let style = files.style;
    let list = &mut files.list;
    list.sort_by(|left, right| in_order(style, &left.named.version, &right.named.version));
    Ok(files)
}

fn several(manifest: &str, folder: &str, mixed: &BTreeMap<Style, &str>) -> MigrationFailure {
    let named = mixed
        .iter()
        .map(|(style, file)| format!("{file} of {style}"));
    let named: Vec<_> = named.collect();
    let first = mixed.keys().next().copied().unwrap_or_default();
    let message = format!(
        "holds migrations of several tools: {}; keep those of one, or say whose count: style = \"{first}\" under \
         [workspace.metadata.host] in {manifest}",
        named.join(", "),
    );
    MigrationFailure::new(Some(folder.to_owned()), message)
}

impl Files {
    /// Sorts one file in. `found`: the tool that the folder is for, if that is known.
    fn add(
        &mut self,
        directory: &Path,
        path: &str,
        named: Option<Named>,
        found: Option<Style>,
    ) -> Result<(), MigrationFailure> {
        let file = format!("{}/{path}", self.folder);
        let place = directory.join(path);
        let beside = |name: &str| place.with_file_name(name).is_file();
        match named {
            Some(named) if named.style == self.style => match (named.is_down, self.style) {
                (false, _) => {
                    let file = migration(named, &place, file)?;
                    self.list.push(file);
                }
                (true, Style::Diesel) if !beside("up.sql") => {
                    let why = "undoes a migration that is not there: it needs an up.sql beside it"
                        .to_owned();
                    self.ignored.push(Ignored { file, why });
                }
                (true, _) => {}
            },
            // What else diesel's folders hold is not for diesel.
            _ if self.style == Style::Diesel && path.contains('/') && beside("up.sql") => {}
            _ => self.ignored.push(Ignored {
                file,
                why: no_name(found),
            }),
        }
        Ok(())
    }
}

/// Reads the migration at `place`, which is shown as `path`.
fn migration(named: Named, place: &Path, path: String) -> Result<Migration, MigrationFailure> {
    let sql = fs::read_to_string(place).map_err(|error| {
        MigrationFailure::new(Some(path.clone()), format!("cannot be read: {error}"))
    })?;
    let (in_transaction, reversible) = match named.style {
        Style::Diesel => (
            runs_in_transaction(&place.with_file_name("metadata.toml")),
            place.with_file_name("down.sql").is_file(),
        ),
        Style::Refinery | Style::Sqlx => {
            (!sql.starts_with(NO_TRANSACTION), path.ends_with(".up.sql"))
        }
    };
    Ok(Migration {
        named,
        path,
        sql,
        in_transaction,
        reversible,
    })
}

fn no_name(found: Option<Style>) -> String {
    match found {
        Some(style) => format!(
            "is not named as {style} names migrations, for example {}",
            style.example()
        ),
        None => {
            let each = Style::ALL.map(|style| format!("{} ({style})", style.example()));
            format!(
                "is not named as a migration, for example {}",
                each.join(" or ")
            )
        }
    }
}

/// As diesel reads it: in a transaction if there is no such file or no valid one, and not if it does not say.
fn runs_in_transaction(metadata: &Path) -> bool {
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(default)]
        run_in_transaction: bool,
    }
    let text = fs::read_to_string(metadata).ok();
    let said: Option<Metadata> = text.and_then(|text| toml::from_str(&text).ok());
    said.is_none_or(|metadata| metadata.run_in_transaction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diesels_metadata_count_as_diesel_reads_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("metadata.toml");
        assert!(runs_in_transaction(&file), "without the file");
        for (text, expected) in [
            ("run_in_transaction = true", true),
            ("run_in_transaction = false", false),
            ("", false),
            ("other = 1", false),
            ("run_in_transaction = 0", true),
            ("run_in", true),
        ] {
            fs::write(&file, text).expect("a file");
            assert_eq!(runs_in_transaction(&file), expected, "{text}");
        }
    }

    #[test]
    fn each_file_is_a_migration_undoes_one_or_is_named() {
        for (paths, style, migrations, ignored) in [
            (
                &[
                    "2_b.up.sql",
                    "2_b.down.sql",
                    "10_c.sql",
                    "0001_a.sql",
                    "notes.sql",
                    ".#1_a.sql",
                    "read.me",
                ][..],
                Style::Sqlx,
                &["0001_a", "2_b", "10_c"][..],
                &["notes.sql"][..],
            ),
            (
                &["V10__b.sql", "old/V9__a.sql", "V1__a-b.sql"],
                Style::Refinery,
                &["V9__a", "V10__b"],
                &["V1__a-b.sql"],
            ),
            (
                &[
                    "10_b/up.sql",
                    "10_b/down.sql",
                    "10_b/notes.sql",
                    "0_a/up.sql",
                    "9_c/down.sql",
                    "seed.sql",
                ],
                Style::Diesel,
                &["0_a", "10_b"],
                &["9_c/down.sql", "seed.sql"],
            ),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            for path in paths {
                let path = folder.path().join("migrations").join(path);
                fs::create_dir_all(path.parent().expect("inside")).expect("a folder");
                fs::write(path, "SELECT 1;").expect("a file");
            }
            let files = read(&Source::in_folder(folder.path())).expect("they can be read");
            assert_eq!(files.style, style);
            let names: Vec<_> = files.list.iter().map(|it| &*it.named.name).collect();
            assert_eq!(names, migrations);
            let names: Vec<_> = files
                .ignored
                .iter()
                .map(|it| it.file.replace("migrations/", ""))
                .collect();
            assert_eq!(names, ignored);
        }
    }
}

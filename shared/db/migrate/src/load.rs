//! The files to apply: refuses those that the tool would mix up, a folder of which it would apply nothing, and a
//! declared tool that none of the files is for.

use chrono::Utc;

use crate::source::Source;
use crate::{Files, Ignored, Migration, MigrationFailure, files::read, naming::Named, next};

/// The files, checked.
pub fn load(source: &Source) -> Result<Files, MigrationFailure> {
    let files = read(source)?;
    refuse_same_versions(&files)?;
    match files.ignored.first() {
        Some(first) if files.list.is_empty() => Err(none_of(source, &files, first)),
        _ => Ok(files),
    }
}

/// All files would be left out: those of another tool than the one that is declared, or files that are no migrations.
fn none_of(source: &Source, files: &Files, first: &Ignored) -> MigrationFailure {
    let path_in = |file: &Ignored| {
        file.file
            .strip_prefix(&files.folder)?
            .strip_prefix('/')
            .map(str::to_owned)
    };
    let theirs = files.ignored.iter().find_map(|file| {
        let named = Named::of(&path_in(file)?)?;
        (named.style != files.style).then_some((&file.file, named.style))
    });
    if let (Some((file, style)), Some(line)) = (theirs, source.style()) {
        let why = format!("does not fit {file}, which is named as {style} names migrations");
        return MigrationFailure::at_style(source, &line, &why);
    }
    let why = format!(
        "{}; name the right folder with --migrations FOLDER, or start with --migrations none if something else applies these",
        first.why
    );
    MigrationFailure::new(Some(first.file.clone()), why)
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_declared_tool_that_does_not_fit_is_named_with_its_line() {
        for (file, word, parts) in [
            (
                "V1__first.sql",
                "\"sqlx\"",
                &[
                    "style = \"sqlx\" does not fit migrations/V1__first.sql",
                    "as refinery names",
                ][..],
            ),
            (
                "20260131120000_first.sql",
                "\"diesel\"",
                &["as sqlx names migrations"],
            ),
            (
                "V1__first.sql",
                "\"flyway\"",
                &["style = \"flyway\" names no tool"],
            ),
            ("V1__first.sql", "3", &["style = 3 names no tool"]),
        ] {
            let failure = failure(file, word);
            let place = (failure.file.as_deref(), failure.line);
            assert_eq!(place, (Some("Cargo.toml"), Some(3)), "{failure}");
            let words = "write one of \"refinery\", \"sqlx\", \"diesel\", or delete the line";
            for part in parts.iter().chain(&[words]) {
                assert!(failure.message.contains(part), "{part}: {failure}");
            }
            assert!(!failure.message.contains("--migrations"), "{failure}");
        }
        // What no tool would find is not for the line to answer.
        let failure = failure("notes.sql", "\"sqlx\"");
        assert_eq!(failure.file.as_deref(), Some("migrations/notes.sql"));
        assert!(failure.message.contains("--migrations none"), "{failure}");
    }

    /// Of a project with this migration only, whose manifest has this style.
    fn failure(file: &str, style: &str) -> MigrationFailure {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| fs::write(folder.path().join(path), text);
        fs::create_dir(folder.path().join("migrations")).expect("a folder");
        write(&format!("migrations/{file}"), "SELECT 1;").expect("a file");
        let manifest = format!("[workspace]\n[workspace.metadata.host]\nstyle = {style}\n");
        write("Cargo.toml", &manifest).expect("a file");
        load(&Source::in_folder(folder.path())).expect_err("nothing to apply")
    }
}

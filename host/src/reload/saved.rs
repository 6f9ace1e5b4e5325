//! What a saved file means: a migration to apply, a build, or nothing but another answer, since the app reads it as it
//! runs.
//!
//! Only a file in the folder of the app can be of the last sort, and only while it is certain what the app was made of.

use std::path::Path;

use super::{
    build::{APP, Inputs},
    watch::{Changes, MIGRATIONS},
};

/// Saved files by what is done about them. A migration that the app includes is of two sorts.
#[derive(Default)]
pub(super) struct Sorted {
    pub(super) schema: bool,
    pub(super) build: Changes,
    /// By the app, as it runs.
    pub(super) read: Changes,
}

/// Sorts `changes` in the project at `root`. `certain`: the app was made of these inputs, and of no others.
pub(super) fn sort(root: &Path, inputs: &Inputs, changes: Changes, certain: bool) -> Sorted {
    let mut sorted = Sorted::default();
    for file in changes {
        let schema = file.starts_with(MIGRATIONS);
        sorted.schema |= schema;
        if inputs.hold(root, &file) || !schema && is_input(&file, certain) {
            sorted.build.insert(file);
        } else if !schema {
            sorted.read.insert(file);
        }
    }
    sorted
}

/// Whether a build may come out differently, though the app was not made of this file.
fn is_input(file: &Path, certain: bool) -> bool {
    !certain
        || !file.starts_with(APP)
        || file.ends_with("Cargo.toml")
        || file.extension().is_some_and(|extension| extension == "rs")
        // What is in a folder that comes or goes is not told.
        || file.extension().is_none()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn only_what_no_compiler_reads_is_read_as_the_app_runs() {
        let inputs = Inputs {
            sources: ["app_lib/src/lib.rs", "app_lib/src/note.txt", "README.md"]
                .map(PathBuf::from)
                .into(),
            script_reads: vec![
                "/project/app_lib/words".into(),
                "/project/migrations/V9__seen.sql".into(),
            ],
        };
        let root = Path::new("/project");
        for (file, certain, schema, build) in [
            ("app_lib/static/page.css", true, false, false),
            ("app_lib/static/page.css", false, false, true),
            ("app_lib/src/note.txt", true, false, true),
            ("app_lib/src/new.rs", true, false, true),
            ("app_lib/Cargo.toml", true, false, true),
            ("app_lib/words/one.txt", true, false, true),
            ("host/src/dev/web/page.css", true, false, true),
            ("README.md", true, false, true),
            ("migrations/V1__first.sql", true, true, false),
            ("migrations/V1__first.sql", false, true, false),
            ("migrations/V9__seen.sql", true, true, true),
        ] {
            let sorted = sort(root, &inputs, Changes::from([file.into()]), certain);
            let read = !schema && !build;
            assert_eq!(
                (sorted.schema, sorted.build.len(), sorted.read.len()),
                (schema, usize::from(build), usize::from(read)),
                "{file}, {certain}"
            );
        }
    }
}

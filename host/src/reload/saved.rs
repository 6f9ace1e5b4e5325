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
pub(super) struct Classified {
    pub(super) schema: bool,
    pub(super) build: Changes,
    /// By the app, as it runs.
    pub(super) runtime_files: Changes,
}

/// Sorts `changes` in the project at `root`. `certain`: the app was made of these inputs, and of no others.
pub(super) fn classify(
    root: &Path,
    inputs: &Inputs,
    changes: Changes,
    inputs_known: bool,
) -> Classified {
    let mut classified = Classified::default();
    for file in changes {
        let schema = file.starts_with(MIGRATIONS);
        classified.schema |= schema;
        if inputs.contains(root, &file) || !schema && is_input(&file, inputs_known) {
            classified.build.insert(file);
        } else if !schema {
            classified.runtime_files.insert(file);
        }
    }
    classified
}

/// Whether a build may come out differently, though the app was not made of this file.
fn is_input(file: &Path, inputs_known: bool) -> bool {
    !inputs_known
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
        for (file, inputs_known, schema, build) in [
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
            let classified = classify(root, &inputs, Changes::from([file.into()]), inputs_known);
            let runtime_files = !schema && !build;
            assert_eq!(
                (
                    classified.schema,
                    classified.build.len(),
                    classified.runtime_files.len()
                ),
                (schema, usize::from(build), usize::from(runtime_files)),
                "{file}, {inputs_known}"
            );
        }
    }
}

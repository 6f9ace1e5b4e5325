//! What to do about a saved file: apply a migration, build, or only reload open pages because the app reads the file at
//! run time.
//!
//! Only a file in the app's folder can be of the last class, and only while the inputs of the app are known.

use std::path::Path;

use super::{
    build::{APP, Inputs},
    watch::{Changes, MIGRATIONS},
};

/// Saved files by what to do about them. A migration that the app includes at compile time is in two classes.
#[derive(Default)]
pub(super) struct Classified {
    pub(super) schema: bool,
    pub(super) build: Changes,
    /// Read by the app at run time.
    pub(super) runtime_files: Changes,
}

/// Classifies `changes` in the project at `root`. `inputs_known`: `inputs` are all that the app was built from.
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

/// Whether this file may change the result of a build, although the last build did not read it.
fn is_input(file: &Path, inputs_known: bool) -> bool {
    !inputs_known
        || !file.starts_with(APP)
        || file.ends_with("Cargo.toml")
        || file.extension().is_some_and(|extension| extension == "rs")
        // Probably a folder that appeared or disappeared; the files in it are not reported.
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

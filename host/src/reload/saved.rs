//! What to do about a saved file: apply a migration, build, reload open pages because the app reads the file at run
//! time, or nothing.
//!
//! What is neither a migration nor an input of the last build is read at run time if it is in the app's folder or in
//! one where such files usually are. Only known while the inputs are.

use std::{
    ffi::OsStr,
    path::{Component, Path},
};

use super::{
    build::Inputs,
    watch::{Changes, RUNTIME_FOLDERS, undoes},
};
use crate::config::Project;

/// Saved files by what to do about them. A migration that the app includes at compile time is in two classes.
#[derive(Default)]
pub(super) struct Classified {
    pub(super) schema: bool,
    pub(super) build: Changes,
    /// Read by the app at run time.
    pub(super) runtime_files: Changes,
}

/// Classifies `changes` of the project. `inputs_known`: `inputs` are all that the app was built from.
pub(super) fn classify(
    project: &Project,
    inputs: &Inputs,
    changes: Changes,
    inputs_known: bool,
) -> Classified {
    let mut classified = Classified::default();
    for file in changes {
        let path = project.root().join(&file);
        if project.is_head(&path) {
            // The app may read other rows now, whatever else has changed.
            classified.schema = true;
            classified.runtime_files.insert(file);
            continue;
        }
        let schema = project
            .migrations()
            .is_some_and(|folder| path.starts_with(folder));
        // The manifest says whose migrations they are.
        let describes = path == project.manifest() && project.migrations().is_some();
        classified.schema |= schema && !undoes(&path) || describes;
        if inputs.contains(&file) || !schema && (!inputs_known || is_input(&file)) {
            classified.build.insert(file);
        } else if !schema
            && (path.starts_with(&project.app().folder) || is_in_runtime_folder(project, &file))
        {
            classified.runtime_files.insert(file);
        }
    }
    classified
}

/// Whether this file may change the result of a build, although the last build did not read it.
fn is_input(file: &Path) -> bool {
    let configures_cargo = [
        "Cargo.toml",
        "Cargo.lock",
        ".cargo/config.toml",
        "rust-toolchain.toml",
    ]
    .iter()
    .any(|name| file.ends_with(name));
    configures_cargo
        || file.extension().is_some_and(|extension| extension == "rs")
        // Probably a folder that appeared or disappeared; the files in it are not reported.
        || file.extension().is_none()
}

/// In a folder of a usual name, wherever it is, or in one that the user has named.
fn is_in_runtime_folder(project: &Project, file: &Path) -> bool {
    let path = project.root().join(file);
    let mut parts = file.components().map(Component::as_os_str);
    project
        .watch()
        .iter()
        .any(|folder| path.starts_with(folder))
        || parts.any(|part| RUNTIME_FOLDERS.iter().any(|name| part == OsStr::new(name)))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_no_compiler_reads_is_read_as_the_app_runs_or_not_at_all() {
        let inputs = Inputs {
            files: [
                "app_lib/src/lib.rs",
                "app_lib/src/note.txt",
                "README.md",
                "domain/src/query.sql",
            ]
            .map(PathBuf::from)
            .into(),
            script_reads: vec![
                "app_lib/words".into(),
                "migrations/V9__seen.sql".into(),
                "migrations/9_seen/down.sql".into(),
            ],
        };
        let project = Project::in_folder(Path::new("/project"));
        for (file, inputs_known, schema, build, runtime) in [
            ("app_lib/static/page.css", true, false, false, true),
            ("app_lib/static/page.css", false, false, true, false),
            ("app_lib/mails/welcome.txt", true, false, false, true),
            ("domain/templates/list.html", true, false, false, true),
            ("static/page.css", true, false, false, true),
            ("content/pages/home.md", true, false, false, true),
            ("content/notes.md", true, false, false, false),
            ("domain/notes.md", true, false, false, false),
            ("domain/notes.md", false, false, true, false),
            ("domain/src/query.sql", true, false, true, false),
            ("app_lib/src/note.txt", true, false, true, false),
            ("app_lib/src/new.rs", true, false, true, false),
            ("domain/src/new.rs", true, false, true, false),
            ("app_lib/Cargo.toml", true, false, true, false),
            ("app_lib/words/one.txt", true, false, true, false),
            ("Cargo.toml", true, true, true, false),
            ("Cargo.lock", true, false, true, false),
            ("rust-toolchain.toml", true, false, true, false),
            (".cargo/config.toml", true, false, true, false),
            ("README.md", true, false, true, false),
            ("migrations/V1__first.sql", true, true, false, false),
            ("migrations/V1__first.sql", false, true, false, false),
            ("migrations/V9__seen.sql", true, true, true, false),
            ("migrations/9_seen/down.sql", true, false, true, false),
        ] {
            let found = classify(
                &project,
                &inputs,
                Changes::from([file.into()]),
                inputs_known,
            );
            assert_eq!(
                (found.schema, found.build.len(), found.runtime_files.len()),
                (schema, usize::from(build), usize::from(runtime)),
                "{file}, {inputs_known}"
            );
        }
    }
}

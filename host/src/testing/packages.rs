//! The packages whose tests run: those that only the app is built from.

use std::path::PathBuf;

use crate::config::{Project, packages::only_of};

/// Their folders; first that of the first saved file, whose tests are the most likely to fail. `files` are relative to
/// the project's root.
pub(super) fn in_order(project: &Project, files: &[String]) -> Vec<PathBuf> {
    let (root, workspace) = (project.root(), project.workspace());
    let mut folders: Vec<PathBuf> = only_of(&project.app().folder, workspace)
        .into_iter()
        // What `hot init` has written has no tests, and what lies elsewhere is not developed here.
        .filter(|folder| workspace == root || !folder.starts_with(workspace))
        .filter(|folder| folder.starts_with(root))
        .collect();
    let saved = files.first().map(|file| root.join(file));
    let holds = |folder: &PathBuf| saved.as_ref().is_some_and(|file| file.starts_with(folder));
    // A package may lie in the folder of another.
    folders.sort_by_key(|folder| match holds(folder) {
        true => usize::MAX - folder.components().count(),
        false => usize::MAX,
    });
    folders
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_package_of_the_saved_file_comes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        for (file, text) in [
            ("Cargo.toml", "[workspace]\nmembers = [\"app_lib\"]\n"),
            (
                "app_lib/Cargo.toml",
                "[package]\nname = \"app_lib\"\n[dependencies]\nwords = { path = \"words\" }\n",
            ),
            ("app_lib/words/Cargo.toml", "[package]\nname = \"words\"\n"),
        ] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        let project = Project::in_folder(root);
        let order = |file: &str| in_order(&project, &[file.to_owned()]);
        let (app, words) = (root.join("app_lib"), root.join("app_lib/words"));
        assert_eq!(
            order("app_lib/words/src/lib.rs"),
            [words.clone(), app.clone()]
        );
        assert_eq!(order("app_lib/src/lib.rs"), [app, words]);
    }
}

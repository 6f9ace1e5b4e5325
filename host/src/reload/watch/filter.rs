//! Which files are watched: those whose change can affect a build, the schema, the settings or what the app reads.
//!
//! Excludes editors' swap files, hidden folders, and everything under `target` and `node_modules`.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    path::{Component, Path, PathBuf},
};

use crate::config::{Project, packages::is_tool_folder};

/// Files in the project's root and in its workspace that count, wherever the packages are.
pub(super) const ROOT_FILES: [&str; 5] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain",
    "rust-toolchain.toml",
    SETTINGS,
];

/// The settings are not built: a save of `.env` is passed on to the code that reads it.
pub(crate) const SETTINGS: &str = ".env";

/// Where a project usually has the files that its app reads at run time.
pub(crate) const RUNTIME_FOLDERS: [&str; 4] = ["assets", "public", "static", "templates"];

/// Whether a file counts, by its absolute path; `packages` are the folders of the path packages. A `folder` counts for
/// what may be in it.
pub(super) fn counts(
    project: &Project,
    packages: &BTreeSet<PathBuf>,
    path: &Path,
    folder: bool,
) -> bool {
    let root = project.root();
    let below = |above: &Path| path.strip_prefix(above).ok();
    if [root, project.workspace()]
        .into_iter()
        .filter_map(below)
        .any(in_root)
    {
        return true;
    }
    if let Some(path) = project.migrations().and_then(below) {
        return in_migrations(path, folder);
    }
    // The innermost package decides. One whose folder contains the project does not decide about the project.
    let is_around =
        |package: &Path| path.starts_with(root) && root.starts_with(package) && package != root;
    let around = packages
        .iter()
        .filter(|package| path.starts_with(package) && !is_around(package));
    let innermost = around.max_by_key(|package| package.components().count());
    let of_package = innermost.is_some_and(|package| {
        !is_in_other_package(path, package)
            && below(package).is_some_and(|path| in_package(path, folder))
    });
    let mut runtime = runtime_folders(project);
    of_package || runtime.any(|place| below(&place).is_some_and(|path| in_package(path, folder)))
}

/// The folders in the project's root that the app may read at run time, and those that the user has named.
pub(super) fn runtime_folders(project: &Project) -> impl Iterator<Item = PathBuf> {
    let usual = RUNTIME_FOLDERS.iter().map(|name| project.root().join(name));
    usual.chain(project.watch().iter().cloned())
}

/// Whether a file in the project's root or in its workspace counts, by its path from there, whatever package it is in.
fn in_root(path: &Path) -> bool {
    ROOT_FILES.iter().any(|file| path == Path::new(file)) || path == Path::new(".cargo/config.toml")
}

/// Whether a file in the folder of migrations counts. A `folder` counts for what may be in it.
fn in_migrations(path: &Path, folder: bool) -> bool {
    let is_sql = path.extension().is_some_and(|it| it == "sql");
    // diesel's, which says whether a migration runs in a transaction.
    let is_read = is_sql && !undoes(path) || path.ends_with("metadata.toml");
    is_user_file(path) && (folder || is_read)
}

/// Whether this is a migration's file that undoes it: sqlx's `….down.sql`, diesel's `down.sql`. It is never applied.
pub(crate) fn undoes(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| name == "down.sql" || name.ends_with(".down.sql"))
}

/// Whether a file of a package counts, by its path from the package's folder.
fn in_package(path: &Path, folder: bool) -> bool {
    let mut parts = path.components().map(Component::as_os_str);
    let first = parts.next().and_then(OsStr::to_str);
    let below = parts.next().is_some();
    let is_a_tools = folder && path.file_name().is_some_and(is_tool_folder);
    !(is_a_tools || below && matches!(first, Some("tests" | "benches")))
        && is_user_file(path)
        && (folder || path.extension().is_some())
}

/// Whether any folder of this path is a tool's.
pub(super) fn is_in_tool_folder(path: &Path) -> bool {
    path.parent().is_some_and(|folder| {
        folder
            .components()
            .any(|part| is_tool_folder(part.as_os_str()))
    })
}

/// Whether it is a file of the user, not a temporary file of an editor or tool.
fn is_user_file(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| {
        !(name.ends_with('~')
            || name.starts_with('.')
            || name.ends_with(".swp")
            || name.ends_with(".swx")
            || name.ends_with(".tmp")
            || name == "4913")
    }) && !is_in_tool_folder(path)
}

/// Whether a package that the app is not built from lies in `package`, and the file in there.
fn is_in_other_package(file: &Path, package: &Path) -> bool {
    let folders = file.ancestors().skip(1);
    folders
        .take_while(|folder| *folder != package)
        .any(|folder| folder.join("Cargo.toml").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_count_and_what_tools_leave_does_not() {
        let counts = |path: &str| in_package(Path::new(path), false);
        for source in [
            "src/lib.rs",
            "templates/page.html",
            "Cargo.toml",
            "build.rs",
        ] {
            assert!(counts(source), "{source}");
        }
        for other in [
            "src/.lib.rs.swp",
            "src/4913",
            "src/lib.rs~",
            "target/debug/x.rs",
            "tests/it/main.rs",
            "src/folder",
            ".git/index.lock",
            ".dev/host.json",
            "web/node_modules/a/b.js",
        ] {
            assert!(!counts(other), "{other}");
        }
        assert!(in_package(Path::new("src/folder"), true));
        for file in ["Cargo.lock", "rust-toolchain", ".cargo/config.toml", ".env"] {
            assert!(in_root(Path::new(file)), "{file}");
        }
        assert!(!in_root(Path::new("notes.txt")));
        assert!(in_migrations(Path::new("V1__a.sql"), false));
        for file in ["2_b.sql", "2_b.up.sql", "2_b/up.sql", "2_b/metadata.toml"] {
            assert!(in_migrations(Path::new(file), false), "{file}");
        }
        for file in [
            "notes.md",
            "2_b.down.sql",
            "2_b/down.sql",
            "2_b/.up.sql.swp",
        ] {
            assert!(!in_migrations(Path::new(file), false), "{file}");
        }
    }

    #[test]
    fn the_innermost_package_decides() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        for package in ["", "crates/domain", "crates/tool"] {
            std::fs::create_dir_all(root.join(package)).expect("a folder");
            std::fs::write(root.join(package).join("Cargo.toml"), "").expect("a file");
        }
        let packages = ["", "crates/domain"].map(|package| root.join(package));
        let packages = packages
            .iter()
            .map(|it| it.components().collect())
            .collect();
        let counts = |file: &str| {
            counts(
                &Project::in_folder(root),
                &packages,
                &root.join(file),
                false,
            )
        };
        for file in [
            "src/lib.rs",
            "crates/domain/src/lib.rs",
            "static/page.css",
            "migrations/V1__a.sql",
        ] {
            assert!(counts(file), "{file}");
        }
        // A package that the app is not built from, and tests.
        for file in [
            "crates/tool/src/main.rs",
            "crates/domain/tests/all.rs",
            "migrations/README.md",
        ] {
            assert!(!counts(file), "{file}");
        }
    }
}

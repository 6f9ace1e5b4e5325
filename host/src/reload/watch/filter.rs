//! Which files are watched: those whose change can affect a build, the schema or the settings.
//!
//! Excludes editors' swap files, and everything under `target`, `.git` and `node_modules`.

use std::{
    ffi::OsStr,
    path::{Component, Path},
};

/// The sources of host and app, and the migrations.
pub(super) const FOLDERS: [&str; 4] = ["app_lib", "shared", "host", MIGRATIONS];

pub(super) const ROOT_FILES: [&str; 5] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain",
    "rust-toolchain.toml",
    SETTINGS,
];

/// Migrations are not built: they change the schema that the app runs on.
pub(crate) const MIGRATIONS: &str = "migrations";

/// The settings are not built either: a save of `.env` is passed on to the code that reads it.
pub(crate) const SETTINGS: &str = ".env";

/// Whether a file of the project is relevant, by path from the root. A `folder` is relevant for what may be in it.
pub(super) fn in_project(path: &Path, folder: bool) -> bool {
    let mut parts = path.components();
    let first = parts.next().map(Component::as_os_str);
    let Some(first) = first.and_then(OsStr::to_str) else {
        return false;
    };
    match parts.as_path() {
        rest if rest.as_os_str().is_empty() => ROOT_FILES.contains(&first),
        rest if first == ".cargo" => rest == Path::new("config.toml"),
        rest if first == MIGRATIONS => {
            is_user_file(path) && rest.extension().is_some_and(|it| it == "sql")
        }
        rest => FOLDERS.contains(&first) && in_package(rest, folder),
    }
}

/// The same for a file of a package, by its path from the package's folder.
pub(super) fn in_package(path: &Path, folder: bool) -> bool {
    let mut parts = path.components().map(Component::as_os_str);
    let first = parts.next().and_then(OsStr::to_str);
    let below = parts.next().is_some();
    !(below && matches!(first, Some("tests" | "benches")))
        && is_user_file(path)
        && (folder || path.extension().is_some())
}

/// Whether a tool keeps its own files in a folder of this name.
pub(super) fn is_tool_folder(folder: &OsStr) -> bool {
    matches!(folder.to_str(), Some("target" | ".git" | "node_modules"))
}

/// Whether any folder of this path is a tool's.
pub(super) fn is_in_tool_folder(path: &Path) -> bool {
    path.components()
        .any(|part| is_tool_folder(part.as_os_str()))
}

/// Whether it is a file of the user, not a temporary file of an editor or tool.
fn is_user_file(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| {
        !(name.ends_with('~')
            || name.starts_with(".#")
            || name.ends_with(".swp")
            || name.ends_with(".swx")
            || name.ends_with(".tmp")
            || name == "4913")
    }) && !is_in_tool_folder(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_count_and_what_tools_leave_does_not() {
        let counts = |path: &str| in_project(Path::new(path), false);
        for source in [
            "app_lib/src/lib.rs",
            "app_lib/templates/page.html",
            "host/Cargo.toml",
            "migrations/V1__a.sql",
            "Cargo.lock",
            "rust-toolchain",
            "rust-toolchain.toml",
            ".cargo/config.toml",
            ".env",
        ] {
            assert!(counts(source), "{source}");
        }
        for other in [
            "app_lib/src/.lib.rs.swp",
            "app_lib/src/4913",
            "app_lib/src/lib.rs~",
            "app_lib/target/debug/x.rs",
            "host/tests/it/main.rs",
            "migrations/notes.md",
            "notes.txt",
            ".dev/host.json",
            "app_lib/src/folder",
        ] {
            assert!(!counts(other), "{other}");
        }
        assert!(in_project(Path::new("app_lib/src/folder"), true));
        assert!(in_package(Path::new("src/lib.rs"), false));
        assert!(!in_package(Path::new(".git/index.lock"), false));
    }
}

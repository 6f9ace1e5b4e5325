//! Copies a workspace with its build in a second or two, ready to run and edit.
//!
//! Compiled files are hard-linked, since compilers replace them and never write into them. Everything else is copied
//! with its modification times, which cargo compares. cargo identifies packages relative to the workspace, so
//! everything is fresh under the new path. rustc's incremental data depends on the old path and is left out.

use std::{fs, io, path::Path};

/// The files and folders that every workspace has, without its build.
pub const SOURCES: [&str; 8] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    ".cargo",
    "host",
    "app_lib",
    "shared",
    "migrations",
];

/// Copies the workspace `from` with its `hot` build to `to`, on the same file system. Further folders of it may be
/// crates that the app depends on, so they are copied too.
///
/// # Errors
/// A file cannot be read, linked or written. What has been copied so far stays.
pub fn workspace(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.join("target"))?;
    for source in SOURCES.into_iter().chain(["target/hot"]) {
        tree(&from.join(source), &to.join(source))?;
    }
    for entry in fs::read_dir(from)? {
        let (entry, is_folder) =
            entry.and_then(|it| Ok((it.file_name(), it.file_type()?.is_dir())))?;
        let name = entry.to_string_lossy();
        let is_known = name == "target" || SOURCES.contains(&&*name);
        // Hidden folders are git's and the dev server's.
        if is_folder && !is_known && !name.starts_with('.') {
            tree(&from.join(&entry), &to.join(&entry))?;
        }
    }
    Ok(())
}

/// Copies a folder in the same way.
///
/// # Errors
/// As [`workspace`].
pub fn tree(from: &Path, to: &Path) -> io::Result<()> {
    let data = fs::symlink_metadata(from)?;
    if !data.is_dir() {
        return file(from, to, data.modified()?);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        // A `target` inside a source folder belongs to another build.
        if name != "incremental" && name != "examples" && name != "target" {
            tree(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(())
}

/// Whether a compiler made this file, as far as its name tells.
pub fn is_compiled(file: &Path) -> bool {
    let extension = file.extension();
    extension.is_some_and(|it| it == "rlib" || it == "rmeta" || it == "so")
}

fn file(from: &Path, to: &Path, modified: std::time::SystemTime) -> io::Result<()> {
    // Across file systems it is copied.
    if is_compiled(from) && fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to)?;
    fs::File::options()
        .write(true)
        .open(to)?
        .set_modified(modified)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    #[test]
    fn further_crates_of_a_workspace_are_copied_and_hidden_folders_are_not() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for source in SOURCES
            .into_iter()
            .chain(["target/hot", "further/src", ".git"])
        {
            fs::create_dir_all(from.path().join(source)).unwrap();
        }
        fs::write(from.path().join("further/Cargo.toml"), "[package]").unwrap();
        workspace(from.path(), to.path()).unwrap();
        assert!(to.path().join("further/Cargo.toml").is_file());
        assert!(to.path().join("app_lib").is_dir() && to.path().join("target/hot").is_dir());
        assert!(!to.path().join(".git").exists());
    }
}

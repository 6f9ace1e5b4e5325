//! Copies a workspace with its build in a second or two, ready to run and edit.
//!
//! Compiled files are hard-linked, since compilers replace them and never write into them. Everything else is copied
//! with its modification times, which cargo compares. cargo identifies packages relative to the workspace, so
//! everything is fresh under the new path. rustc's incremental data depends on the old path and is left out.

use std::{fs, io, path::Path};

/// The files and folders of a workspace, without its build.
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

/// Copies the workspace `from` with its `hot` build to `to`, on the same file system.
///
/// # Errors
/// A file cannot be read, linked or written. What has been copied so far stays.
pub fn workspace(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.join("target"))?;
    for source in SOURCES.into_iter().chain(["target/hot"]) {
        tree(&from.join(source), &to.join(source))?;
    }
    Ok(())
}

fn tree(from: &Path, to: &Path) -> io::Result<()> {
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

fn file(from: &Path, to: &Path, modified: std::time::SystemTime) -> io::Result<()> {
    let compiled = from
        .extension()
        .is_some_and(|extension| extension == "rlib" || extension == "rmeta" || extension == "so");
    if compiled {
        return fs::hard_link(from, to);
    }
    fs::copy(from, to)?;
    fs::File::options()
        .write(true)
        .open(to)?
        .set_modified(modified)
}

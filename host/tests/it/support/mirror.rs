//! Makes a folder as another one is, and leaves alone what is right already: cargo then finds it fresh.
//!
//! A file is right if its size and modification time are: every write changes the time.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
};

use host_demo::copy::is_compiled;

/// Folders of this name stay: rustc's incremental data is of use to the next build of whatever.
const KEPT: &str = "incremental";

pub(super) fn mirror(from: &Path, to: &Path) {
    let wanted = fs::symlink_metadata(from).unwrap();
    let found = fs::symlink_metadata(to);
    if found.is_ok_and(|it| it.file_type() != wanted.file_type()) {
        remove(to);
    }
    if !wanted.is_dir() {
        return mirror_file(from, &wanted, to);
    }
    if !to.is_dir() {
        fs::create_dir_all(to).unwrap();
        take_over(&wanted, to);
    }
    for entry in fs::read_dir(to).unwrap() {
        let name = entry.unwrap().file_name();
        if name != KEPT && !from.join(&name).exists() {
            remove(&to.join(name));
        }
    }
    for entry in fs::read_dir(from).unwrap() {
        let name = entry.unwrap().file_name();
        if name != KEPT {
            mirror(&from.join(&name), &to.join(&name));
        }
    }
}

fn mirror_file(from: &Path, wanted: &Metadata, to: &Path) {
    if let Ok(found) = fs::symlink_metadata(to) {
        let state = |it: &Metadata| (it.len(), it.modified().unwrap());
        if state(&found) == state(wanted) {
            return;
        }
        // Written into where that harms nobody: file systems take their time to make a file after many were removed.
        let is_shared = found.nlink() > 1;
        let may_run = found.permissions().mode() & 0o111 != 0;
        if is_shared || may_run || is_compiled(to) {
            fs::remove_file(to).unwrap();
        }
    }
    if is_compiled(from) {
        return fs::hard_link(from, to).unwrap();
    }
    fs::copy(from, to).unwrap();
    take_over(wanted, to);
    let file = File::options().write(true).open(to).unwrap();
    file.set_modified(wanted.modified().unwrap()).unwrap();
}

/// Owner and mode: a cluster may belong to another user than the tests.
fn take_over(wanted: &Metadata, to: &Path) {
    chown(to, Some(wanted.uid()), Some(wanted.gid())).unwrap();
    fs::set_permissions(to, wanted.permissions()).unwrap();
}

/// A file, a link or a whole folder, if it is there.
pub(super) fn remove(path: &Path) {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        _ => fs::remove_file(path),
    };
    let absent = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    assert!(
        removed.as_ref().is_ok() || removed.as_ref().is_err_and(absent),
        "{}: {removed:?}",
        path.display()
    );
}

//! Where a project has its migrations: in a folder of a usual name, at its root or in one of its crates. Reads none.

use std::{fs, path::Path};

use cargo_metadata::Package;

/// Where the dev server looks by default.
pub(super) const DEFAULT: &str = "migrations";

/// The usual folders, in a crate or in the root.
const USUAL: [&str; 2] = [DEFAULT, "db/migrations"];

/// The first that there is, relative to the root.
pub(super) fn find<'a>(root: &Path, crates: impl Iterator<Item = &'a Package>) -> Option<String> {
    let crates = crates.filter_map(|package| package.manifest_path.as_std_path().parent());
    let folders = [root].into_iter().chain(crates);
    let places = folders.flat_map(|folder| USUAL.map(|name| folder.join(name)));
    let mut of_this_project = places.filter_map(|place| {
        let path = place.strip_prefix(root).ok()?.to_str()?.to_owned();
        holds_sql(&place).then_some(path)
    });
    of_this_project.next()
}

/// Whether there is a file of SQL, in it or, as diesel has them, in a folder in it.
fn holds_sql(folder: &Path) -> bool {
    let inside = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let is_sql = |file: &Path| file.extension().is_some_and(|extension| extension == "sql");
    let mut found = inside(folder).into_iter();
    found.any(|entry| is_sql(&entry) || inside(&entry).iter().any(|file| is_sql(file)))
}

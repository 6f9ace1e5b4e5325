//! Symbolic links among the sources, and the names that their targets have through them.
//!
//! inotify reports a file by the real folder it is in, so a save behind a link is only reported at the target.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use walkdir::{DirEntry, WalkDir};

use crate::config::packages::is_tool_folder;

/// Each link and its target.
#[derive(Default)]
pub(super) struct Links(BTreeMap<PathBuf, PathBuf>);

impl Links {
    /// Replaces all known links with those at and below these paths.
    pub(super) fn rescan<'a>(&mut self, paths: impl Iterator<Item = &'a PathBuf>) {
        self.0.clear();
        paths.for_each(|path| self.find(path));
    }

    /// Adds the links at and below `path`.
    pub(super) fn find(&mut self, path: &Path) {
        // The walk reports a link to one of its own parent folders as an error, and a link without a target too. Both
        // are skipped, except for `path` itself: a save may be about to create its target.
        let walk = WalkDir::new(path)
            .follow_links(true)
            .into_iter()
            .filter_entry(|entry| entry.depth() == 0 || !is_tool_folder(entry.file_name()));
        let found = walk.flatten().filter(DirEntry::path_is_symlink);
        let links = found.map(DirEntry::into_path);
        for link in links.chain(path.is_symlink().then(|| path.to_owned())) {
            if let Some(target) = target_of(&link) {
                self.0.insert(link, target);
            }
        }
    }

    /// Forgets the links at and below `path`, which has appeared or disappeared.
    pub(super) fn forget(&mut self, path: &Path) {
        self.0.retain(|link, _| !link.starts_with(path));
    }

    pub(super) fn targets(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.values()
    }

    /// The other names of `path`: through links to it or to one of its parent folders.
    pub(super) fn names_of(&self, path: &Path) -> impl Iterator<Item = PathBuf> {
        self.0.iter().filter_map(|(link, target)| {
            let rest = path.strip_prefix(target).ok()?;
            Some(match rest.as_os_str().is_empty() {
                true => link.clone(),
                false => link.join(rest),
            })
        })
    }
}

fn target_of(link: &Path) -> Option<PathBuf> {
    if let Ok(target) = link.canonicalize() {
        return Some(target);
    }
    let target = link.parent()?.join(fs::read_link(link).ok()?);
    let folder = target.parent()?.canonicalize().ok()?;
    Some(folder.join(target.file_name()?))
}

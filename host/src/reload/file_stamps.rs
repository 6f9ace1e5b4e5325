//! Detects changed files without reading them, by length and modification time.
//!
//! The inode is not compared, since cargo links unchanged files into place again.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The stamps of files at one moment. A file that was missing counts as changed once it exists.
pub(crate) struct FileStamps(BTreeMap<PathBuf, Option<Stamp>>);

type Stamp = (u64, i64, i64);

impl FileStamps {
    pub(crate) fn of(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let now = |file: PathBuf| {
            let stamp = stamp(&file);
            (file, stamp)
        };
        Self(files.into_iter().map(now).collect())
    }

    pub(crate) fn have_changed(&self) -> bool {
        self.0.iter().any(|(file, before)| stamp(file) != *before)
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let of = |data: Metadata| (data.len(), data.mtime(), data.mtime_nsec());
    fs::metadata(file).ok().map(of)
}

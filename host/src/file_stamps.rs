//! Whether files are still the ones they were, without reading them: by length and time of writing.
//!
//! Not by inode, since cargo links fresh files into place anew.

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Files as they were at one moment. One that was not there must still not be there.
pub(crate) struct FileStamps(Vec<(PathBuf, Option<Stamp>)>);

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

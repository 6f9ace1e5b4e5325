//! Whether files are still the ones they were, without reading them: by length and time of writing.
//!
//! Not by inode, since cargo links fresh files into place anew.

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Files as they were at one moment. One that was not there must still not be there.
pub(crate) struct Identities(Vec<(PathBuf, Option<Identity>)>);

type Identity = (u64, i64, i64);

impl Identities {
    pub(crate) fn of(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let now = |file: PathBuf| {
            let identity = identity(&file);
            (file, identity)
        };
        Self(files.into_iter().map(now).collect())
    }

    pub(crate) fn have_changed(&self) -> bool {
        self.0
            .iter()
            .any(|(file, before)| identity(file) != *before)
    }
}

fn identity(file: &Path) -> Option<Identity> {
    let of = |data: Metadata| (data.len(), data.mtime(), data.mtime_nsec());
    fs::metadata(file).ok().map(of)
}

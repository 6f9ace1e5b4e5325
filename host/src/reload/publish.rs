//! Puts a finished artifact where hot-lib-reloader watches, in one step.
//!
//! Owns the folder `.dev/live`. By rename only: a reader of a half-written library dies of SIGBUS. Says "unchanged"
//! when the bytes are the ones published last, so that saving a file without a change reloads nothing.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Where, from the root of the checkout.
pub(super) const LIVE: &str = ".dev/live";

/// The folder that holds the published library and the reloader's copies of it.
pub(super) struct Live {
    folder: PathBuf,
    library: PathBuf,
}

impl Live {
    /// An empty folder: copies of earlier processes are dead weight, and a copy's name must never be used twice
    /// (the loader would hand out the old image).
    pub(super) fn new(folder: PathBuf, library_name: &str) -> io::Result<Self> {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(&folder)?,
        }
        let library = folder.join(format!(
            "{}{library_name}{}",
            std::env::consts::DLL_PREFIX,
            std::env::consts::DLL_SUFFIX
        ));
        Ok(Self { folder, library })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Publishes `artifact`, unless it is published already. `true` if anything changed.
    pub(super) fn publish(&self, artifact: &Path) -> io::Result<bool> {
        if same_bytes(artifact, &self.library)? {
            return Ok(false);
        }
        let next = self.folder.join("next");
        match fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // A link costs nothing, and linkers replace their output instead of writing into it. Across file systems: copy.
        if fs::hard_link(artifact, &next).is_err() {
            fs::copy(artifact, &next)?;
        }
        fs::rename(&next, &self.library)?;
        Ok(true)
    }
}

fn same_bytes(left: &Path, right: &Path) -> io::Result<bool> {
    let (mut left, mut right) = match (fs::File::open(left)?, fs::File::open(right)) {
        (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        (left, right) => (left, right?),
    };
    if left.metadata()?.len() != right.metadata()?.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let read = left.read(&mut a)?;
        if read == 0 {
            return Ok(true);
        }
        right.read_exact(&mut b[..read])?;
        if a[..read] != b[..read] {
            return Ok(false);
        }
    }
}

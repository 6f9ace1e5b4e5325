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
    /// How many bytes were added to the artifact that is published.
    added: u64,
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
        Ok(Self {
            folder,
            library,
            added: 0,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Publishes `artifact`, unless it is published already. `true` if anything changed.
    ///
    /// With `again` it is published in any case: a byte at its end, which no loader reads, makes another library of
    /// it, with statics of its own.
    pub(super) fn publish(&mut self, artifact: &Path, again: bool) -> io::Result<bool> {
        let is_published = same_bytes(artifact, &self.library, self.added)?;
        if is_published && !again {
            return Ok(false);
        }
        let added = if is_published { self.added + 1 } else { 0 };
        let next = self.folder.join("next");
        match fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // A link costs nothing, and linkers replace their output instead of writing into it. Across file systems: copy.
        if added > 0 || fs::hard_link(artifact, &next).is_err() {
            let length = fs::copy(artifact, &next)?;
            fs::File::options()
                .write(true)
                .open(&next)?
                .set_len(length + added)?;
        }
        fs::rename(&next, &self.library)?;
        self.added = added;
        Ok(true)
    }
}

/// Whether `right` is `left` with so many bytes `added`.
fn same_bytes(left: &Path, right: &Path, added: u64) -> io::Result<bool> {
    let (mut left, mut right) = match (fs::File::open(left)?, fs::File::open(right)) {
        (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        (left, right) => (left, right?),
    };
    if left.metadata()?.len() + added != right.metadata()?.len() {
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

//! Puts a finished artifact where hot-lib-reloader watches, atomically.
//!
//! Owns the folder `.dev/live`. Files appear in it by rename only: reading a half-written library would crash with
//! SIGBUS. An artifact with the same bytes as the one loaded last is not published, so a save without a change reloads
//! nothing.

use std::{
    fs::{self, File},
    io::{self, Read, Seek},
    path::{Path, PathBuf},
};

/// The folder, relative to the root of the checkout.
pub(super) const LIVE: &str = ".dev/live";

/// The folder that holds the published library and the reloader's copies of it.
pub(super) struct LiveFolder {
    folder: PathBuf,
    library: PathBuf,
    /// The highest number of bytes that were appended to a published artifact.
    added: u64,
    /// The library that was loaded last.
    last: Option<Published>,
    /// Something was published that has not been loaded.
    pending: bool,
}

/// A published library.
pub(super) struct Published {
    /// Kept open, so that it can be compared even if the folder has been deleted.
    file: File,
    /// How many bytes were appended to the artifact.
    added: u64,
}

impl LiveFolder {
    /// Starts with an empty folder: nothing uses the copies of earlier processes, and a copy's name must not be used
    /// twice, or the loader would return the old image.
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
            last: None,
            pending: false,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Publishes `artifact`, unless it equals the one loaded last. What was published and not [`loaded`](Self::loaded)
    /// is published again.
    ///
    /// With `again` it is published in any case. A byte appended to the file, which no loader reads, makes it a
    /// different library: hot-lib-reloader notices it, and it has its own statics.
    pub(super) fn publish(
        &mut self,
        artifact: &Path,
        again: bool,
    ) -> Result<Option<Published>, PublishError> {
        let file = File::open(artifact).map_err(at(artifact))?;
        let is_loaded = match &mut self.last {
            Some(last) => same_bytes(&file, last).map_err(at(artifact))?,
            None => false,
        };
        if is_loaded && !again {
            if let Some(last) = &self.last
                && !self.library.exists()
            {
                self.put(artifact, last.added)?; // the user has deleted it
            }
            return Ok(None);
        }
        let added = if is_loaded || self.pending {
            self.added + 1
        } else {
            0
        };
        self.put(artifact, added)?;
        (self.added, self.pending) = (self.added.max(added), true);
        let file = File::open(&self.library).map_err(at(&self.library))?;
        Ok(Some(Published { file, added }))
    }

    /// `published` has become code: from now on the same bytes are not published again.
    pub(super) fn loaded(&mut self, published: Published) {
        (self.last, self.pending) = (Some(published), false);
    }

    /// Deletes the reloader's copies. One that it could not finish would keep a full disk full.
    pub(super) fn remove_copies(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.path() != self.library
                && let Err(error) = fs::remove_file(entry.path())
            {
                tracing::debug!("{}: {error}", entry.path().display());
            }
        }
    }

    fn put(&self, artifact: &Path, added: u64) -> Result<(), PublishError> {
        fs::create_dir_all(&self.folder).map_err(at(&self.folder))?;
        let next = self.folder.join("next");
        match fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&next)(error)),
            _ => {}
        }
        // A hard link is cheap, and safe because linkers replace their output instead of writing into it. Copy across
        // file systems.
        if added > 0 || fs::hard_link(artifact, &next).is_err() {
            let lengthen = |length| {
                let copy = File::options().write(true).open(&next)?;
                copy.set_len(length + added)
            };
            fs::copy(artifact, &next)
                .and_then(lengthen)
                .map_err(|error| {
                    drop(fs::remove_file(&next)); // half of it would keep a full disk full
                    at(&next)(error)
                })?;
        }
        fs::rename(&next, &self.library).map_err(at(&self.library))
    }
}

/// The file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub(crate) struct PublishError {
    path: PathBuf,
    source: io::Error,
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> PublishError {
    let path = path.to_owned();
    |source| PublishError { path, source }
}

/// Whether `published` was made from `left`.
fn same_bytes(mut left: &File, published: &mut Published) -> io::Result<bool> {
    let Published { file: right, added } = published;
    if left.metadata()?.len() + *added != right.metadata()?.len() {
        return Ok(false);
    }
    right.rewind()?;
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

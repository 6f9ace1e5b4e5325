//! Cookies: how one asks whether everything saved so far is dealt with.
//!
//! A cookie is a file that is made in a watched folder. The system reports changes in order: when the watch sees the
//! cookie, it has seen each save before it. Watchman calls them so, and asks in the same way.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// In the host's own folder, which is watched and holds no sources.
const PREFIX: &str = "cookie-";

/// Clones count together.
#[derive(Clone)]
pub(crate) struct Cookies {
    folder: PathBuf,
    last: Arc<AtomicU64>,
}

/// Its file goes with it.
pub(crate) struct Cookie {
    pub(crate) number: u64,
    file: PathBuf,
}

impl Cookies {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            folder: root.join(".dev"),
            last: Arc::default(),
        }
    }

    /// Makes one. All that is saved before it is dealt with once [`Report::dealt_with`](crate::events::Report) has
    /// reached its number.
    pub(crate) fn make(&self) -> io::Result<Cookie> {
        let number = self.last.fetch_add(1, Relaxed) + 1;
        let file = self.folder.join(format!("{PREFIX}{number}"));
        // With content: one that was left by a process which was killed changes too.
        fs::write(&file, number.to_string())?;
        Ok(Cookie { number, file })
    }

    /// The number of the cookie at `path`, if it is one.
    pub(super) fn number(&self, path: &Path) -> Option<u64> {
        let name = path.strip_prefix(&self.folder).ok()?.to_str()?;
        let number = name.strip_prefix(PREFIX)?.parse().ok();
        // A file that was left by a process which was killed has a number that this one has not given yet.
        number.filter(|number| *number <= self.so_far())
    }

    /// Those made before the watch began: the first build comes after all of them.
    pub(super) fn so_far(&self) -> u64 {
        self.last.load(Relaxed)
    }
}

impl Drop for Cookie {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.file)); // `git clean` may have been faster
    }
}

//! Which test processes use the private server: the first starts it, and a keeper stops it behind the last.
//!
//! Locks on files, which end with their process. Whoever uses the server shares one of them; whoever starts or stops it
//! has another one alone; the keeper has the third.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::keeper::Keeper;

/// initdb on a slow disk, and the start of the server.
const LIMIT: Duration = Duration::from_mins(5);

const PAUSE: Duration = Duration::from_millis(5);

/// Shared with the other users until this process ends.
static USED: Mutex<Option<File>> = Mutex::new(None);

/// Held while the server is started.
pub(crate) struct Starting {
    folder: PathBuf,
    users: File,
    lock: File,
}

impl Starting {
    /// Waits until no other process starts or stops the server in this folder.
    ///
    /// # Errors
    /// The files cannot be made or locked, or another process does not end.
    pub(crate) async fn begin(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let file = |name: &str| File::create(folder.join(name));
        let (lock, users) = (file("lock")?, file("users")?);
        file("keeper")?;
        let since = Instant::now();
        while !is_taken(lock.try_lock())? {
            if since.elapsed() > LIMIT {
                let what = "another test process has been starting PostgreSQL for five minutes";
                return Err(io::Error::other(what));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Self {
            folder: folder.to_owned(),
            users,
            lock,
        })
    }

    /// The server with this PID and PID file runs: it is stopped behind the last process that uses it.
    pub(crate) fn use_it(self, server: i32, pid_file: &Path) -> io::Result<()> {
        self.users.lock_shared()?;
        let paths = ["lock", "users", "keeper"].map(|name| self.folder.join(name));
        let [lock, users, keeper] = &paths;
        // It ends by itself if there is one.
        Keeper::new((lock, users, keeper), pid_file)?.start(server)?;
        *USED.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.users);
        self.lock.unlock()
    }
}

fn is_taken(tried: Result<(), TryLockError>) -> io::Result<bool> {
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

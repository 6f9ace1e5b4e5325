//! Which test processes use the private server: the first starts it, and a keeper stops it after the last.
//!
//! Locks on files, which end with their process. Processes that use the server share one of them; one that starts or stops
//! it has another one alone; the keeper has the third.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use shared_cluster::Cluster;

use crate::keeper::Keeper;

/// initdb on a slow disk, and the start of the server.
const LIMIT: Duration = Duration::from_mins(5);

const PAUSE: Duration = Duration::from_millis(5);

/// Shared with the other users until this process ends.
static USED: Mutex<Option<File>> = Mutex::new(None);

/// Held while the server is started.
pub(crate) struct Starting {
    lock: File,
}

impl Starting {
    /// Waits until no other process starts or stops the server in this folder, and uses it from here on: the server is
    /// stopped after the last process that does, even if this one is killed while it starts it.
    ///
    /// # Errors
    /// The files cannot be made or locked, or another process does not end.
    pub(crate) async fn begin(folder: &Path, cluster: &Cluster) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let paths = ["lock", "users", "keeper"].map(|name| folder.join(name));
        let [lock_file, users_file, keeper] = &paths;
        File::create(keeper)?;
        let (lock, users) = (File::create(lock_file)?, File::create(users_file)?);
        let since = Instant::now();
        while !is_taken(lock.try_lock())? {
            if since.elapsed() > LIMIT {
                let what = "another test process has been starting PostgreSQL for five minutes";
                return Err(io::Error::other(what));
            }
            tokio::time::sleep(PAUSE).await;
        }
        users.lock_shared()?;
        *USED.lock().unwrap_or_else(PoisonError::into_inner) = Some(users);
        let (pid_file, socket) = (cluster.pid_file(), cluster.socket_file());
        let keeper = Keeper::new((lock_file, users_file, keeper), (&pid_file, &socket))?;
        keeper.start()?;
        Ok(Self { lock })
    }

    /// The server runs.
    pub(crate) fn end(self) -> io::Result<()> {
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

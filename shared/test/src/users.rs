//! Which test processes use the private server: the first starts it, the last stops it, however many run at once.
//!
//! Two locks on files, which end with their process. Whoever uses the server shares one of them; whoever starts or stops
//! it has the other alone.

#![expect(unsafe_code, reason = "a function that runs at the end of the process")]

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};

use shared_cluster::{Cluster, Place};

/// initdb on a slow disk, and the start of the server.
const START_LIMIT: Duration = Duration::from_mins(5);

/// Another process that starts or stops the server at this moment.
const STOP_LIMIT: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(5);

/// What this process has to give back at its end.
static USED: Mutex<Option<Used>> = Mutex::new(None);

struct Used {
    place: Place,
    folder: PathBuf,
    /// Shared with the other users until the process ends.
    users: File,
}

/// Held while the server is started. Given back by [`use_it`](Self::use_it).
pub(crate) struct Starting {
    place: Place,
    folder: PathBuf,
    users: File,
    lock: File,
}

impl Starting {
    /// Waits until no other process starts or stops the server in this folder.
    ///
    /// # Errors
    /// The files cannot be made or locked, or another process does not end.
    pub(crate) async fn begin(place: Place, folder: &Path) -> io::Result<Self> {
        let (lock, users) = open(folder)?;
        let since = Instant::now();
        while !is_taken(lock.try_lock())? {
            if since.elapsed() > START_LIMIT {
                let what = "another test process has been starting PostgreSQL for five minutes";
                return Err(io::Error::other(what));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Self {
            place,
            folder: folder.to_owned(),
            users,
            lock,
        })
    }

    /// The server runs: it is stopped at the end of the last process that uses it.
    pub(crate) fn use_it(self) -> io::Result<()> {
        self.users.lock_shared()?;
        let used = Used {
            place: self.place,
            folder: self.folder,
            users: self.users,
        };
        let before = USED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(used);
        if before.is_none() {
            // SAFETY: `leave` is a plain function of this program, which stays mapped until the process has ended. It
            // runs after `main` has returned or `exit` was called, catches nothing that unwinds, and touches only what
            // it locks.
            unsafe { libc::atexit(leave) };
        }
        self.lock.unlock()
    }
}

extern "C" fn leave() {
    // A panic must not leave a function that C calls.
    let left = std::panic::catch_unwind(|| {
        let used = USED.lock().unwrap_or_else(PoisonError::into_inner).take();
        used.map_or(Ok(()), stop_if_last)
    });
    if let Ok(Err(error)) = left {
        eprintln!("PostgreSQL of the tests cannot be stopped: {error}");
    }
}

fn stop_if_last(used: Used) -> io::Result<()> {
    let (lock, _) = open(&used.folder)?;
    used.users.unlock()?;
    let since = Instant::now();
    while !is_taken(lock.try_lock())? {
        if since.elapsed() > STOP_LIMIT {
            return Ok(()); // whoever starts it now uses it, and stops it
        }
        sleep(PAUSE);
    }
    if is_taken(used.users.try_lock())? {
        Cluster::of(used.place)
            .map_err(io::Error::other)?
            .stop_running();
    }
    Ok(())
}

fn open(folder: &Path) -> io::Result<(File, File)> {
    fs::create_dir_all(folder)?;
    let file = |name: &str| File::create(folder.join(name));
    Ok((file("lock")?, file("users")?))
}

fn is_taken(tried: Result<(), TryLockError>) -> io::Result<bool> {
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

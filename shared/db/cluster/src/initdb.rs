//! Creates an empty cluster, completely or not at all.

use std::{
    fs, io,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use crate::{
    Binaries, PostgresError,
    log::{open_log, tail},
    paths::{Paths, USER},
    place::{Life, Place},
    run_as::RunAs,
    wait::poll,
};

/// Usually half a second, but much longer on a slow disk.
const LIMIT: Duration = Duration::from_mins(5);

/// Runs initdb in a temporary folder first: an interrupted run must not look like a cluster.
pub(super) async fn initialize(
    binaries: &Binaries,
    (place, run_as, paths): (&Place, &RunAs, &Paths),
    on_wait: &mut dyn FnMut(String),
) -> Result<(), PostgresError> {
    let folder = paths.data.with_extension("unfinished");
    // Left by a host that was killed while it did this.
    remove(&folder).map_err(PostgresError::file(&folder))?;
    let (out, errors) = open_log(&paths.log)?;
    let mut initdb = Command::new(binaries.program("initdb"));
    initdb
        .arg("-D")
        .arg(&folder)
        // No password: only this user can enter the socket's 0700 folder, and so connect at all.
        .args(["-U", USER, "-A", "trust", "--no-sync", "--no-instructions"])
        .args(["--encoding=UTF8", "--locale=C"])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(errors);
    // Half a cluster is of no use to anybody.
    run_as.apply(&mut initdb, &place.environment, Life::OfTheThread);
    let child = initdb.spawn().map_err(|source| PostgresError::Run {
        program: "initdb".into(),
        source,
    })?;
    let mut running = RunningServer {
        child,
        folder: Some(folder.clone()),
    };
    let describe = || "initdb is making the private cluster".to_owned();
    let ended = poll(LIMIT, on_wait, describe, || {
        running.child.try_wait().transpose()
    });
    match ended.await {
        Some(Ok(status)) if status.success() => {}
        Some(Err(source)) => {
            return Err(PostgresError::Run {
                program: "initdb".into(),
                source,
            });
        }
        Some(Ok(_)) | None => {
            return Err(PostgresError::Initdb {
                output: tail(&paths.log),
            });
        }
    }
    running.folder = None;
    fs::rename(&folder, &paths.data).map_err(PostgresError::file(&paths.data))
}

/// A running initdb. Dropping it kills it and removes the folder, unless the folder is complete.
struct RunningServer {
    child: Child,
    folder: Option<PathBuf>,
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        let Some(folder) = &self.folder else { return };
        // Kill the whole group: initdb runs servers that write there too.
        let group = Pid::from_raw(self.child.id().cast_signed());
        if killpg(group, Signal::SIGKILL).is_ok()
            && let Err(error) = self.child.wait()
        {
            tracing::debug!("initdb: {error}");
        }
        if let Err(error) = remove(folder) {
            tracing::debug!("{}: {error}", folder.display()); // the next start tries again, and says so
        }
    }
}

fn remove(folder: &PathBuf) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

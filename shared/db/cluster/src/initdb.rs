//! Creates an empty cluster, completely or not at all.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    Binaries, PostgresError,
    log::{open_log, tail},
    paths::{Paths, USER},
    place::{Life, Place},
    run_as::RunAs,
    unfinished::{Running, Unfinished},
};

/// Usually half a second, but much longer on a slow disk.
const LIMIT: Duration = Duration::from_mins(5);

/// Runs initdb in a temporary folder first: an interrupted run must not look like a cluster.
pub(super) async fn initialize(
    binaries: &Binaries,
    (place, run_as, paths): (&Place, &RunAs, &Paths),
    on_wait: &mut dyn FnMut(String),
) -> Result<(), PostgresError> {
    let folder = Unfinished::at(paths.data.with_extension("unfinished"))?;
    let (out, errors) = open_log(&paths.log)?;
    let mut initdb = Command::new(binaries.program("initdb"));
    initdb
        .arg("-D")
        .arg(folder.path())
        // No password: only this user can enter the socket's 0700 folder, and so connect at all.
        .args(["-U", USER, "-A", "trust", "--no-sync", "--no-instructions"])
        .args(["--encoding=UTF8", "--locale=C"])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(errors);
    // Half a cluster is of no use to anybody.
    run_as.apply(&mut initdb, &place.environment, Life::OfTheThread);
    let mut running = Running::start(&mut initdb)?;
    let describe = || "initdb is making the private cluster".to_owned();
    match running.end(LIMIT, on_wait, describe).await {
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
    fs::rename(folder.path(), &paths.data).map_err(PostgresError::file(&paths.data))
}

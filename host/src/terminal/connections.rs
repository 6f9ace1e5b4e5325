//! `host connections`: a live line in a second terminal, to watch that the number of backends does not rise.

use std::{io::Write, time::Duration};

use serde::Deserialize;
use shared::BoxError;

use crate::config::Project;

const INTERVAL: Duration = Duration::from_millis(500);

#[derive(Deserialize)]
struct HostStatus {
    generation: u64,
    phase: String,
    db: DbStatus,
}

#[derive(Deserialize)]
struct DbStatus {
    url: String,
    max: usize,
    backend_pid: Option<i32>,
    opened_total: u64,
    backends: Option<i64>,
}

/// Prints until Ctrl-C or until the host ends. In a pipe: one line per change.
pub(crate) async fn connections() -> Result<(), BoxError> {
    let project = Project::find()?;
    let live = anstream::stdout().is_terminal();
    let mut before = String::new();
    loop {
        let url = format!("http://{}/__dev/status.json", project.running()?.address);
        // A blocking client is enough: the program has nothing else to do.
        let response = tokio::task::spawn_blocking(move || {
            ureq::get(&url)
                .config()
                .timeout_global(Some(Duration::from_secs(5)))
                .build()
                .call()?
                .body_mut()
                .read_json()
        })
        .await?;
        let line = match response {
            Ok(status) => describe(&status),
            Err(error) => format!("no answer: {error}"), // for example during a restart
        };
        if line != before {
            let mut out = anstream::stdout().lock();
            if live {
                write!(out, "\r\x1b[2K{line}")?;
            } else {
                writeln!(out, "{line}")?;
            }
            out.flush()?;
            before = line;
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            interrupted = tokio::signal::ctrl_c() => {
                if live {
                    writeln!(anstream::stdout())?;
                }
                return Ok(interrupted?);
            }
        }
    }
}

fn describe(status: &HostStatus) -> String {
    let HostStatus {
        generation,
        phase,
        db:
            DbStatus {
                url,
                max,
                backend_pid,
                opened_total,
                backends,
            },
    } = status;
    if url == "none" {
        return format!("generation {generation} ({phase})   no database");
    }
    let backends = backends.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let pid = backend_pid.map_or_else(|| "none yet".to_owned(), |pid| pid.to_string());
    format!(
        "generation {generation} ({phase})   backends {backends} of at most {max}   pid {pid}   opened {opened_total} since start"
    )
}

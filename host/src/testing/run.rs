//! One run of `cargo test` for a package, at low priority: its results and, if there are none, its errors.

use std::{io, path::Path, process::ExitStatus, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
    time::sleep,
};

use super::output::Results;
use crate::reload::{Group, command};

/// Of what cargo and the programs say besides results.
const MAX_ERRORS: usize = 64 << 10;

/// How much of it is shown; of what has no error, these lines.
const LAST_LINES: usize = 10;
const MAX_SHOWN: usize = 4 << 10;

/// Tests that say nothing for so long hang, and are ended.
const SILENCE: Duration = Duration::from_mins(10);

/// How long what cargo has left behind may keep its output open.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// Runs the tests of the package in `folder`, and reports each result. Dropped half-way, it ends them.
///
/// # Errors
/// Why there is no complete result.
pub(super) async fn run(
    folder: &Path,
    results: &mut Results,
    report: impl FnMut(&Results),
) -> Result<(), String> {
    // The environment is that of a user who runs them by hand: without the URL of the database that is developed on.
    let mut nice = command("nice", folder);
    nice.args(["cargo", "test", "--no-fail-fast", "--color", "never"]);
    nice.env("CARGO_TERM_QUIET", "false");
    let failed = results.failed.len();
    let mut errors = Vec::new();
    let ended = until_ended(&mut nice, results, report, &mut errors).await;
    let errors = String::from_utf8_lossy(&errors);
    let status = match ended {
        Ok(Some(status)) => status,
        Ok(None) => {
            let minutes = SILENCE.as_secs() / 60;
            return Err(format!(
                "ended: the tests have printed nothing for {minutes} minutes"
            ));
        }
        Err(error) => return Err(format!("cannot run cargo test: {error}")),
    };
    // cargo fails for failed tests too.
    match status.success() || (results.failed.len() > failed && !has_crashed(&errors)) {
        true => Ok(()),
        false => Err(shown(&errors, status)),
    }
}

/// `None`: it was silent for too long.
async fn until_ended(
    command: &mut Command,
    results: &mut Results,
    mut report: impl FnMut(&Results),
    errors: &mut Vec<u8>,
) -> io::Result<Option<ExitStatus>> {
    let (mut group, stdout, mut stderr) = Group::spawn(command)?;
    let mut lines = BufReader::new(stdout).split(b'\n');
    let (mut part, mut is_open) = (vec![0; 8 << 10], (true, true));
    let mut ended = None;
    while is_open != (false, false) {
        let limit = if ended.is_some() {
            LAST_OUTPUT
        } else {
            SILENCE
        };
        tokio::select! {
            // What it has printed comes before its end.
            biased;
            line = lines.next_segment(), if is_open.0 => match line? {
                Some(line) => {
                    results.read(&String::from_utf8_lossy(&line));
                    report(results);
                }
                None => is_open.0 = false,
            },
            count = stderr.read(&mut part), if is_open.1 => match count? {
                0 => is_open.1 = false,
                count => {
                    errors.extend_from_slice(&part[..count]);
                    let over = errors.len().saturating_sub(MAX_ERRORS);
                    errors.drain(..over);
                }
            },
            // A process that a test has started may outlive cargo, with the same output.
            status = group.wait(), if ended.is_none() => ended = Some(status?),
            () = sleep(limit) => return Ok(ended),
        }
    }
    match ended {
        Some(status) => Ok(Some(status)),
        None => group.wait().await.map(Some),
    }
}

/// A program that a signal has ended. cargo names it.
fn has_crashed(errors: &str) -> bool {
    errors.contains("(signal: ")
}

/// From the first error on, or the end.
fn shown(errors: &str, status: ExitStatus) -> String {
    let lines: Vec<&str> = errors.lines().collect();
    let first = lines.iter().position(|line| line.starts_with("error"));
    let text = match first {
        Some(first) => lines[first..].join("\n"),
        None => {
            let last = lines.len().saturating_sub(LAST_LINES);
            format!("cargo test: {status}\n{}", lines[last..].join("\n"))
        }
    };
    text[..text.floor_char_boundary(MAX_SHOWN)].to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn errors_are_shown_from_the_first_on() {
        let failed = ExitStatus::from_raw(101 << 8);
        let said =
            "   Compiling a v0.1.0\nerror[E0425]: cannot find value `b`\n --> src/tests.rs:1:1\n";
        assert!(shown(said, failed).starts_with("error[E0425]"));
        assert!(shown("   Compiling a v0.1.0\n", failed).contains("101"));
    }
}

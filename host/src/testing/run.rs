//! One run of `cargo test` for a package, at low priority: its results and, if there are none, its errors.

use std::{io, path::Path, process::ExitStatus};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    try_join,
};

use super::output::Results;
use crate::reload::{Group, command};

/// Of what cargo and the programs say besides results.
const MAX_ERRORS: usize = 64 << 10;

/// How much of it is shown.
const MAX_SHOWN: usize = 4 << 10;

/// Runs the tests of the package in `folder`, and reports each result. Dropped half-way, it ends them.
///
/// # Errors
/// Why there is no complete result.
pub(super) async fn run(
    folder: &Path,
    results: &mut Results,
    mut report: impl FnMut(&Results),
) -> Result<(), String> {
    let mut nice = command("nice", folder);
    nice.args(["cargo", "test", "--no-fail-fast", "--color", "never"]);
    let failed = results.failed.len();
    let ran = async {
        let (mut group, stdout, mut stderr) = Group::spawn(&mut nice)?;
        let mut lines = BufReader::new(stdout).split(b'\n');
        let reading = async {
            while let Some(line) = lines.next_segment().await? {
                results.read(&String::from_utf8_lossy(&line));
                report(results);
            }
            Ok(())
        };
        let ((), errors) = try_join!(reading, read_end(&mut stderr))?;
        Ok::<_, io::Error>((group.wait().await?, errors))
    };
    let (status, errors) = ran.await.map_err(|error| format!("cargo test: {error}"))?;
    // cargo fails for failed tests too.
    match status.success() || (results.failed.len() > failed && !has_crashed(&errors)) {
        true => Ok(()),
        false => Err(shown(&errors, status)),
    }
}

async fn read_end(from: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut end = Vec::new();
    let mut part = vec![0; 8 << 10];
    loop {
        let count = from.read(&mut part).await?;
        if count == 0 {
            return Ok(String::from_utf8_lossy(&end).into_owned());
        }
        end.extend_from_slice(&part[..count]);
        let over = end.len().saturating_sub(MAX_ERRORS);
        end.drain(..over);
    }
}

/// A program that a signal has ended. cargo names it.
fn has_crashed(errors: &str) -> bool {
    errors.contains("(signal: ")
}

/// From the first error on.
fn shown(errors: &str, status: ExitStatus) -> String {
    let lines: Vec<&str> = errors.lines().collect();
    let first = lines.iter().position(|line| line.starts_with("error"));
    match first {
        Some(first) => {
            let text = lines[first..].join("\n");
            text[..text.floor_char_boundary(MAX_SHOWN)].to_owned()
        }
        None => format!("cargo test ended with {status}"),
    }
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

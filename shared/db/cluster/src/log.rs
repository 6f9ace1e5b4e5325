//! The log file of a private cluster.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
};

use crate::PostgresError;

/// What a server that starts is doing, according to its log since offset `from`.
pub(super) fn progress(log: &Path, from: u64) -> String {
    let text = fs::read(log).unwrap_or_default();
    let from = usize::try_from(from).unwrap_or_default().min(text.len());
    let said = String::from_utf8_lossy(&text[from..]);
    let recovers = ["automatic recovery", "redo in progress", "redo starts"];
    if recovers.iter().any(|words| said.contains(words)) {
        "PostgreSQL is recovering after it was not shut down properly".to_owned()
    } else {
        "PostgreSQL is starting".to_owned()
    }
}

pub(super) fn open_log(log: &PathBuf) -> Result<(File, File), PostgresError> {
    let opened = OpenOptions::new().create(true).append(true).open(log);
    let out = opened.map_err(PostgresError::file(log))?;
    let errors = out.try_clone().map_err(PostgresError::file(log))?;
    Ok((out, errors))
}

pub(super) fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

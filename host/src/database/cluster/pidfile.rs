//! Reads `postmaster.pid`, which has the PID and status of a server.

use std::{fs, path::Path};

/// The lines that matter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PidFile {
    pub(super) pid: i32,
    /// "starting", "ready", "stopping"; empty while the file is being written.
    pub(super) status: String,
}

impl PidFile {
    pub(super) fn read(data: &Path) -> Option<Self> {
        let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        // 2 data folder, 3 start time, 4 port, 5 socket folder, 6 address, 7 shared memory, 8 status padded with
        // blanks.
        let status = lines.nth(6).unwrap_or_default().trim().to_owned();
        Some(Self { pid, status })
    }

    /// Whether that process is a running PostgreSQL. A zombie does not count, although it still accepts signals.
    pub(super) fn is_alive(&self) -> bool {
        // "41207 (postgres) S 1 …": state and parent come after the name's closing parenthesis.
        let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", self.pid)) else {
            return false;
        };
        stat.contains("(postgres)")
            && !stat
                .rsplit(')')
                .next()
                .is_some_and(|rest| rest.trim_start().starts_with('Z'))
    }

    /// Whether that process serves `data`. The PID may have been reused by another PostgreSQL, but each server's
    /// working directory is its data folder.
    pub(super) fn serves(&self, data: &Path) -> bool {
        let (works_in, data) = (
            fs::read_link(format!("/proc/{}/cwd", self.pid)),
            fs::canonicalize(data),
        );
        works_in.is_ok_and(|works_in| data.is_ok_and(|data| works_in == data))
    }

    /// Whether that process is our child, started by the previous process image.
    pub(super) fn is_our_child(&self) -> bool {
        let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", self.pid)) else {
            return false;
        };
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        parent == Some(std::process::id())
    }
}

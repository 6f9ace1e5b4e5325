//! Reads `postmaster.pid`, which has the PID and status of a server.

use std::{fs, path::Path};

use procfs::process::{Process, Stat};

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
        let is_running = |stat: &Stat| stat.comm == "postgres" && stat.state != 'Z';
        self.stat().as_ref().is_some_and(is_running)
    }

    /// Whether that process serves `data`. The PID may have been reused by another PostgreSQL, but each server's
    /// working directory is its data folder.
    pub(super) fn serves(&self, data: &Path) -> bool {
        let works_in = Process::new(self.pid).and_then(|process| process.cwd());
        let data = fs::canonicalize(data);
        works_in.is_ok_and(|works_in| data.is_ok_and(|data| works_in == data))
    }

    /// Whether that process is our child, started by the previous process image.
    pub(super) fn is_our_child(&self) -> bool {
        let is_ours = |stat: Stat| u32::try_from(stat.ppid) == Ok(std::process::id());
        self.stat().is_some_and(is_ours)
    }

    fn stat(&self) -> Option<Stat> {
        Process::new(self.pid)
            .and_then(|process| process.stat())
            .ok()
    }
}

//! Threads of this process by name, and their CPU time.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use procfs::{
    ProcResult,
    process::{Process, Task},
};

/// The threads with one name, at one moment.
pub(crate) struct Threads {
    at: Instant,
    /// CPU time by thread id.
    used: HashMap<i32, Duration>,
}

impl Threads {
    /// Empty if the system does not tell.
    pub(crate) fn named(name: &str) -> Self {
        let tasks = Process::myself().and_then(|process| process.tasks());
        let used = tasks.into_iter().flatten().filter_map(|task| {
            // A thread may end between two reads.
            used_by(&task.ok()?, name).ok()?
        });
        Self {
            at: Instant::now(),
            used: used.collect(),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.used.len()
    }

    /// Their CPU time since `before`, in percent of one core.
    pub(crate) fn percent_since(&self, before: &Self) -> u32 {
        let used: Duration = self
            .used
            .iter()
            .map(|(id, used)| used.saturating_sub(before.used.get(id).copied().unwrap_or_default()))
            .sum();
        let elapsed = self
            .at
            .duration_since(before.at)
            .max(Duration::from_millis(1));
        (used.as_secs_f64() / elapsed.as_secs_f64() * 100.0).round() as u32
    }
}

/// The id and CPU time of a thread, if it has this name.
fn used_by(task: &Task, name: &str) -> ProcResult<Option<(i32, Duration)>> {
    if task.stat()?.comm != name {
        return Ok(None);
    }
    // Not `stat`, whose ticks are ten milliseconds.
    let used = task.schedstat()?.sum_exec_runtime;
    Ok(Some((task.tid, Duration::from_nanos(used))))
}

//! Threads of this process by name, and their CPU time. Empty on systems without Linux's `/proc`.

use std::{
    collections::HashMap,
    fs,
    time::{Duration, Instant},
};

/// The threads with one name, at one moment.
pub(crate) struct Threads {
    at: Instant,
    /// CPU time by thread id.
    used: HashMap<String, Duration>,
}

impl Threads {
    pub(crate) fn named(name: &str) -> Self {
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
        let used = tasks.flatten().filter_map(|task| {
            let read = |file| fs::read_to_string(task.path().join(file)).ok();
            if read("comm")?.trim_end() != name {
                return None;
            }
            // The first field is the CPU time in nanoseconds.
            let used = read("schedstat")
                .and_then(|stat| stat.split(' ').next()?.parse().ok())
                .unwrap_or_default();
            let number = task.file_name().to_string_lossy().into_owned();
            Some((number, Duration::from_nanos(used)))
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
            .map(|(number, used)| {
                used.saturating_sub(before.used.get(number).copied().unwrap_or_default())
            })
            .sum();
        let elapsed = self
            .at
            .duration_since(before.at)
            .max(Duration::from_millis(1));
        (used.as_secs_f64() / elapsed.as_secs_f64() * 100.0).round() as u32
    }
}

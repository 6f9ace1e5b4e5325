//! A host without requests and without saves.

use std::{collections::HashMap, ffi::OsString, fs, time::Duration};

use crate::support::Host;

/// How often each thread of this process has gone to sleep so far: each time something had woken it up.
fn wake_ups(pid: i32) -> HashMap<OsString, u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .filter_map(|task| {
            let task = task.unwrap();
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            Some((task.file_name(), line.unwrap().trim().parse().unwrap()))
        })
        .collect()
}

#[tokio::test]
async fn an_idle_host_sleeps() {
    const SECONDS: u64 = 3;
    let host = Host::start().await;
    host.backend().await;
    let before = wake_ups(host.pid());
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    // By thread: one that has ended meanwhile takes its number along.
    let since = wake_ups(host.pid())
        .into_iter()
        .map(|(thread, now)| now - before.get(&thread).unwrap_or(&0));
    let a_second = since.sum::<u64>() / SECONDS;
    assert!(a_second < 25, "{a_second} wake-ups a second");
}

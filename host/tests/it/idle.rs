//! A host that nobody asks for anything.

use std::{fs, time::Duration};

use crate::support::Host;

/// How often a thread of this process has gone to sleep so far: each time something had woken it up.
fn wake_ups(pid: i32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok())
        .map(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.unwrap().trim().parse::<u64>().unwrap()
        })
        .sum()
}

#[tokio::test]
async fn an_idle_host_sleeps() {
    const SECONDS: u64 = 3;
    let host = Host::start().await;
    host.backend().await;
    let before = wake_ups(host.pid());
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let a_second = (wake_ups(host.pid()) - before) / SECONDS;
    assert!(a_second < 25, "{a_second} wake-ups a second");
}

//! A private cluster that takes its time: told, and given up at once on Ctrl-C.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use nix::sys::signal::Signal;

use crate::support::{Checkout, Host, Status, eventually};

/// `initdb` and `postgres` of the test's own, in a folder for `PGBIN`.
fn binaries(checkout: &Checkout, initdb: &str, postgres: &str) -> String {
    let folder = checkout.path("bin");
    fs::create_dir(&folder).unwrap();
    let version =
        "#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'postgres (PostgreSQL) 15.18'; exit; fi\n";
    for (name, script) in [("initdb", initdb), ("postgres", postgres)] {
        let file = folder.join(name);
        fs::write(&file, format!("{version}{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder.display().to_string()
}

fn says(status: &Status, what: &str) -> bool {
    let trouble = &status.0["health"]["trouble"];
    trouble["cause"] == "starting" && trouble["what"].as_str().unwrap().contains(what)
}

async fn pid_in(file: &Path) -> String {
    eventually("a PID", async || {
        let pid = fs::read_to_string(file).ok()?;
        pid.ends_with('\n').then(|| pid.trim().to_owned())
    })
    .await
}

/// A zombie is not: its parent may never reap it.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z"))
}

#[tokio::test]
async fn ctrl_c_in_the_middle_of_initdb_leaves_nothing() {
    let checkout = Checkout::new();
    // Or the host would be lent one.
    fs::create_dir_all(checkout.path(".dev/postgres")).unwrap();
    let pid = checkout.path("pid");
    let initdb = format!(
        "mkdir -p \"$2\"; touch \"$2/half\"; trap '' INT TERM; sh -c 'echo $$ > {}; exec sleep 600'",
        pid.display()
    );
    let bin = binaries(&checkout, &initdb, "exit 1");
    let mut host = Host::spawn_in(checkout, &[("PGBIN", &bin)]).await;
    host.until("word of it", |status| says(status, "initdb"))
        .await;
    assert!(
        host.log().contains("initdb is making the private cluster"),
        "{}",
        host.log()
    );
    let child = pid_in(&pid).await;
    host.signal(Signal::SIGINT);
    assert_eq!(host.ended().await.code(), Some(0));
    assert!(!is_alive(&child), "its children too");
    let left = fs::read_dir(host.checkout.path(".dev/postgres")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().starts_with("data")),
        "{left:?}"
    );
}

#[tokio::test]
async fn ctrl_c_during_recovery_does_not_wait_for_it() {
    let checkout = Checkout::new();
    checkout.lend_cluster();
    // As the startup process in the middle of its work: it does not listen to a fast shutdown.
    // Perl: a shell cannot trap what was ignored when it began, as a test run in the background has it.
    let postgres = r#"echo 'LOG:  database system was not properly shut down; automatic recovery in progress' >&2
        exec perl -e '$SIG{INT} = $SIG{TERM} = sub { print STDERR "asked gently\n" };
            $SIG{QUIT} = sub { print STDERR "asked to quit\n"; exit 2 };
            sleep 1 while 1'"#;
    let bin = binaries(&checkout, "exit 1", postgres);
    let mut host = Host::spawn_in(checkout, &[("PGBIN", &bin)]).await;
    host.until("word of it", |status| says(status, "is recovering"))
        .await;
    host.signal(Signal::SIGINT);
    assert_eq!(host.ended().await.code(), Some(0));
    let log = fs::read_to_string(host.checkout.path(".dev/postgres/log")).unwrap();
    assert!(
        log.contains("asked to quit") && !log.contains("asked gently"),
        "{log}"
    );
}

#[tokio::test]
async fn a_cluster_that_cannot_start_ends_the_host_with_one_message() {
    let checkout = Checkout::new();
    checkout.lend_cluster();
    let bin = binaries(
        &checkout,
        "exit 1",
        "echo 'FATAL:  no space left' >&2; exit 1",
    );
    let mut host = Host::spawn_in(checkout, &[("PGBIN", &bin)]).await;
    assert_eq!(host.ended().await.code(), Some(1));
    assert_eq!(
        host.log().matches("no space left").count(),
        1,
        "{}",
        host.log()
    );
}

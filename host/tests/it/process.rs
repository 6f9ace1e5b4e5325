//! How the host starts, refuses to, and ends.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
    process::Stdio,
};

use nix::sys::signal::Signal;

use crate::support::{Checkout, Host, eventually, lab};

#[tokio::test]
async fn every_wrong_setting_is_named_at_once_and_no_secret_is() {
    let checkout = Checkout::new();
    checkout.write(
        ".env",
        "APP_ENV=staging\nDATABASE_URL=postgres://me:pa55word@localhost/app?sslmode=verify-ca\n",
    );
    let ended = checkout
        .host()
        .args(["dev", "--port", "eighty"])
        .env("DATABASE_MAX_CONNECTIONS", "0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1));
    for part in [
        "4 settings are wrong",
        "APP_ENV (from .env)",
        "DATABASE_URL (from .env)",
        "sslmode=verify-ca needs the root certificate",
        "PORT (from --port)",
        "DATABASE_MAX_CONNECTIONS (from the environment)",
        "example: PORT=3000",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("pa55word"), "{said}");
    assert!(
        !checkout.path(".dev/postgres").exists(),
        "nothing was started"
    );
}

#[tokio::test]
async fn a_taken_port_names_its_holder_and_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let checkout = Checkout::new();
    let ended = checkout
        .host()
        .args(["dev", "--port", &port])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        said.contains(&port)
            && said.contains(&format!("pid {}", std::process::id()))
            && said.contains("--port"),
        "{said}"
    );
}

#[tokio::test]
async fn a_second_host_in_a_checkout_is_refused() {
    let host = Host::start().await;
    let ended = host
        .checkout
        .host()
        .args(["dev", "--port", "0"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(
        !ended.status.success()
            && said.contains(&host.pid().to_string())
            && said.contains(&host.base),
        "{said}"
    );
    assert_eq!(host.get("/api/ping").await.status(), 200);
}

#[tokio::test]
async fn a_deleted_dev_folder_is_made_again_and_the_project_stays_locked() {
    let host = Host::with_lab("Router::new()").await;
    let name = serde_json::json!({ "name": "a" });
    let create = || {
        host.client
            .post(host.url("/api/counters"))
            .json(&name)
            .send()
    };
    assert_eq!(create().await.unwrap().status(), 201);

    // All at once: PostgreSQL writes into it while it is being deleted.
    fs::rename(host.checkout.path(".dev"), host.checkout.path("deleted")).unwrap();
    let said = "the data of the private PostgreSQL was deleted";
    eventually("the loss to be told", async || {
        host.log().contains(said).then_some(())
    })
    .await;
    let second = host.checkout.host().args(["dev", "--port", "0"]).output();
    let refused = String::from_utf8(second.unwrap().stderr).unwrap();
    assert!(
        refused.contains(&format!("pid {}, {}", host.pid(), host.base)),
        "{refused}"
    );
    // Empty, and migrated.
    eventually("the new database", async || {
        (create().await.unwrap().status() == 201).then_some(())
    })
    .await;
    let counters = host.json("/api/counters").await;
    assert_eq!(counters.as_array().unwrap().len(), 1, "{counters}");
    assert_eq!(host.log().matches(said).count(), 1, "{}", host.log());

    // Nothing has changed; then something has.
    let lab = |answer: &str| format!(r#"Router::new().route("/lab", get(async || {answer:?}))"#);
    host.checkout.write_lab("Router::new()");
    host.until("the same result", |status| {
        status.number("/reloads/unchanged") == 1
    })
    .await;
    host.checkout.write_lab(&lab("one"));
    host.until_generation(2).await;
    assert_eq!(host.text("/lab").await, "one");

    // What is in the way is named.
    let live = host.checkout.path(".dev/live");
    fs::remove_dir_all(&live).unwrap();
    fs::write(&live, "").unwrap();
    host.checkout.write_lab(&lab("two"));
    let refused = host
        .until("the refusal", |status| status.phase() == "load_failed")
        .await;
    let why = refused.0["build"]["refused"].as_str().unwrap();
    assert!(why.contains(live.to_str().unwrap()), "{why}");
    fs::remove_file(&live).unwrap();
    host.checkout.write_lab(&lab("three"));
    host.until_generation(3).await;
    assert_eq!(host.text("/lab").await, "three");
}

#[tokio::test]
async fn without_postgresql_the_ways_out_are_named() {
    let checkout = Checkout::new();
    let empty = checkout.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let ended = checkout
        .host()
        .args(["dev", "--port", "0"])
        .env("PGBIN", &empty)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success(), "{said}");
    for way in [
        "apt-get install postgresql",
        "PGBIN=",
        "DATABASE_URL=",
        "--database none",
    ] {
        assert!(said.contains(way), "{said}");
    }
}

#[tokio::test]
async fn ctrl_c_finishes_requests_and_leaves_nothing_behind() {
    let mut host = Host::with_built_lab(lab!(
        r#"Router::new().route("/slow", get(async || { gate("open").await; "finished" }))"#,
    ))
    .await;
    host.backend().await;
    let postmaster = host.postmaster();
    let slow = tokio::spawn(host.client.get(host.url("/slow")).send());
    host.until("the request inside", |status| {
        status.of_generation(1) == Some(("active", 1))
    })
    .await;
    host.signal(Signal::SIGINT);
    host.checkout.write("open", "");
    assert_eq!(
        slow.await.unwrap().unwrap().text().await.unwrap(),
        "finished"
    );
    assert_eq!(host.ended().await.code(), Some(0));
    assert!(
        !Path::new("/proc").join(postmaster.to_string()).exists(),
        "PostgreSQL has ended"
    );
    assert!(
        !host
            .checkout
            .path(".dev/postgres/data/postmaster.pid")
            .exists()
    );
}

#[tokio::test]
async fn the_commands_beside_a_running_host_use_its_cluster() {
    let host = Host::start().await;
    let run = |arguments: &[&str]| {
        let ended = host.checkout.host().args(arguments).output().unwrap();
        assert!(
            ended.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&ended.stderr)
        );
        String::from_utf8(ended.stdout).unwrap()
    };
    host.client
        .post(host.url("/api/counters"))
        .json(&serde_json::json!({ "name": "a" }))
        .send()
        .await
        .unwrap();
    assert_eq!(
        run(&["psql", "-Atc", "SELECT name FROM counter"]).trim(),
        "a"
    );
    // With the address that is printed, a program shares the app's backend.
    let url = run(&["url"]);
    let backend = run(&["psql", url.trim(), "-Atc", "SELECT pg_backend_pid()"]);
    assert_eq!(backend.trim(), host.backend().await.to_string());
    assert!(run(&["migrate"]).contains("up to date"));
    let observer = host.observe().await;
    let elsewhere = "CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.kept ()";
    observer.batch_execute(elsewhere).await.unwrap();
    // The session in the way is named.
    let holder = host.observe().await;
    let name = "SELECT pg_backend_pid()";
    let pid: i32 = holder.query_one(name, &[]).await.unwrap().get(0);
    let hold = "BEGIN;\n  LOCK TABLE counter";
    holder.batch_execute(hold).await.unwrap();
    let said = host.checkout.path("said");
    let mut reset = host.checkout.host();
    reset.arg("db-reset").stdout(File::create(&said).unwrap());
    let mut reset = reset.spawn().unwrap();
    let line = format!(
        "waiting for a lock of PID {pid} (observer, idle in transaction, BEGIN; LOCK TABLE counter)"
    );
    eventually("the holder", async || {
        let said = fs::read_to_string(&said).unwrap();
        said.contains(&line).then_some(())
    })
    .await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert!(reset.wait().unwrap().success());
    assert_eq!(host.json("/api/counters").await, serde_json::json!([]));
    let left = "SELECT to_regnamespace('elsewhere')::text";
    let row = observer.query_one(left, &[]).await.unwrap();
    assert_eq!(row.get::<_, Option<String>>(0), None);
    assert!(run(&["migration", "add_size"]).contains("V3__add_size.sql"));
    assert!(run(&["migrate"]).contains("has no statement yet: migrations/V3__add_size.sql"));
}

#[tokio::test]
async fn the_commands_start_a_cluster_when_none_runs_and_stop_it() {
    let (ended, checkout) = Host::start().await.stop().await;
    assert!(ended.success());
    let psql = checkout
        .host()
        .args(["psql", "-Atc", "SELECT count(*) FROM counter"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&psql.stdout).trim(),
        "0",
        "{}",
        String::from_utf8_lossy(&psql.stderr)
    );
    assert!(!checkout.path(".dev/postgres/data/postmaster.pid").exists());
    let url = checkout.host().arg("url").output().unwrap();
    let said = String::from_utf8_lossy(&url.stderr);
    assert!(
        !url.status.success() && said.contains("`host dev` is not running"),
        "{said}"
    );

    // One of them beside another.
    let mut open = checkout.host();
    open.args(["psql", "-Atq"]);
    let mut open = open
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut typed = open.stdin.take().unwrap();
    writeln!(typed, "SELECT 'here';").unwrap();
    let mut shown = String::new();
    BufReader::new(open.stdout.take().unwrap())
        .read_line(&mut shown)
        .unwrap();
    assert_eq!(shown.trim(), "here");
    let beside = |command: &str| {
        let ended = checkout.host().arg(command).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        (ended.status.success(), said)
    };
    // The host that was stopped has left its address behind.
    let (started, said) = beside("dev");
    assert!(
        !started && said.contains("a command such as `cargo host psql` is open"),
        "{said}"
    );
    fs::remove_file(checkout.path(".dev/host.json")).unwrap();
    assert_eq!(beside("migrate"), (true, String::new()));
    drop(typed);
    assert!(open.wait().unwrap().success());
    // Of two at once, one waits for the other.
    let both = [0, 1].map(|_| checkout.host().arg("migrate").spawn().unwrap());
    for mut one in both {
        assert!(one.wait().unwrap().success());
    }
}

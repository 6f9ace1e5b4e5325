//! How the host starts, refuses to, and ends.

use std::{net::TcpListener, path::Path};

use nix::sys::signal::Signal;

use crate::support::{Checkout, Host};

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
async fn without_postgresql_the_three_ways_out_are_named() {
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
    for way in ["apt-get install postgresql", "PGBIN=", "DATABASE_URL="] {
        assert!(said.contains(way), "{said}");
    }
}

#[tokio::test]
async fn ctrl_c_finishes_requests_and_leaves_nothing_behind() {
    let mut host = Host::with_lab(
        r#"Router::new().route("/slow", get(async || { gate("open").await; "finished" }))"#,
    )
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
    assert!(run(&["migrate"]).contains("up to date"));
    run(&["db-reset"]);
    assert_eq!(host.json("/api/counters").await, serde_json::json!([]));
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
}

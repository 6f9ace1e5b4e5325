//! `host serve`: the same app, linked in, and nothing of the dev server.

// The binary, and a process of it.
mod built;
mod serving;

// What it offers to those who run it.
mod drain;
mod health;
mod log;
mod metrics;
mod sent_metrics;
mod systemd;
mod traces;

use std::{path::Path, process::Stdio};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::io::AsyncBufReadExt;

use crate::support::{Checkout, Host, client, eventually};
use built::{built, built_with_traces};

#[tokio::test]
async fn the_production_binary_serves_alone_and_ends_orderly() {
    // A dev host for its database.
    let (dev, (checkout, binary)) = (Host::start().await, built());

    let bytes = std::fs::read(binary).unwrap();
    for trace in ["/__dev", "shared_dylib", "hot-lib-reloader", "initdb"] {
        assert!(
            !bytes
                .windows(trace.len())
                .any(|window| window == trace.as_bytes()),
            "{trace} is in the production binary"
        );
    }

    let refused = checkout
        .command(binary)
        .args(["serve", "--port", "0"])
        .envs([("PGHOST", "db.example"), ("LOG_OF_MAIN", "1")])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("DATABASE_URL is not set") && said.contains("PGHOST is set and not read"),
        "{said}"
    );

    let url = format!(
        "postgres://postgres@/postgres?host={}",
        dev.checkout.path(".dev/postgres/socket").display()
    );
    let elsewhere = tempfile::TempDir::new().unwrap();
    let refused = checkout
        .command(binary)
        .args(["serve", "--port", "0"])
        .env("DATABASE_URL", &url)
        .env("WANTS_A_FILE", "1")
        .current_dir(elsewhere.path())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    let wanted = format!(
        "app() failed: No such file or directory (os error 2); relative paths begin in the working directory, {}",
        elsewhere.path().display()
    );
    assert!(said.contains(&wanted), "{said}");
    let refused = checkout
        .command(binary)
        .args(["serve", "--port", "0"])
        .envs([("DATABASE_URL", &*url), ("WORKERS", "hunter2")])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    let wanted = "app() failed: 2 settings are wrong:\n\n  API_KEY\n    is not set\n    example: API_KEY=sk-123\n\n  \
         WORKERS (from the environment)\n    does not parse: invalid digit found in string\n    example: WORKERS=4";
    assert!(said.contains(wanted) && !said.contains("hunter2"), "{said}");
    for starts in ["awaiting", "blocking"] {
        let mut process = tokio::process::Command::from(checkout.command(binary))
            .args(["serve", "--port", "0"])
            .envs([("DATABASE_URL", &*url), ("STARTS", starts)])
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        eventually("app() to begin", async || {
            checkout.path(starts).exists().then_some(())
        })
        .await;
        terminate(&process);
        assert_eq!(process.wait().await.unwrap().code(), Some(0), "{starts}");
    }
    shows_its_own_log(checkout, binary, &url).await;
    let mut command = tokio::process::Command::from(checkout.command(binary));
    command
        .args(["serve", "--port", "0"])
        .env("DATABASE_URL", url)
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut process = command.spawn().unwrap();
    let mut said = tokio::io::BufReader::new(process.stderr.take().unwrap()).lines();
    let base = loop {
        let line = said
            .next_line()
            .await
            .unwrap()
            .expect("it says where it serves");
        if let Some((_, address)) = line.split_once("serving on ") {
            break address.trim_end_matches('/').to_owned();
        }
    };

    let client = client();
    for folder in ["templates", "static"] {
        std::fs::remove_dir_all(checkout.path("app_lib").join(folder)).unwrap();
    }
    for (path, holds) in [("/", "<h1>Counters</h1>"), ("/static/style.css", "body {")] {
        let answer = client.get(format!("{base}{path}")).send().await.unwrap();
        let text = answer.text().await.unwrap();
        assert!(text.contains(holds), "{path}: {text}");
    }
    let ping: serde_json::Value = client
        .get(format!("{base}/api/ping"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(ping["generation"], 1);
    assert_eq!(
        client
            .get(format!("{base}/__dev/status.json"))
            .send()
            .await
            .unwrap()
            .status(),
        404
    );

    let slow = tokio::spawn(client.get(format!("{base}/slow")).send());
    eventually("the request inside", async || {
        checkout.path("entered").exists().then_some(())
    })
    .await;
    terminate(&process);
    checkout.write("open", "");
    assert_eq!(
        slow.await.unwrap().unwrap().text().await.unwrap(),
        "finished"
    );
    assert_eq!(process.wait().await.unwrap().code(), Some(0));
}

/// What is set up in `app()` gets the host's lines too; before, and without it, the host shows the app's.
async fn shows_its_own_log(checkout: &Checkout, binary: &Path, url: &str) {
    for (own, set_up, serving) in [
        ("1", "own: in app()", "own: serving on "),
        ("", "INFO app_lib::lab: in app()", "INFO serving on "),
    ] {
        let mut process = tokio::process::Command::from(checkout.command(binary))
            .args(["serve", "--port", "0"])
            .envs([("DATABASE_URL", url), ("LOG_OF_THE_APP", own)])
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = tokio::io::BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("serving on ") {
                terminate(&process);
            }
            said += &format!("{line}\n");
        }
        assert_eq!(process.wait().await.unwrap().code(), Some(0), "{said}");
        for line in ["INFO app_lib::lab: at first", set_up, serving] {
            assert!(said.contains(line), "{line}: {said}");
        }
    }
}

fn terminate(process: &tokio::process::Child) {
    let pid = Pid::from_raw(process.id().unwrap().cast_signed());
    kill(pid, Signal::SIGTERM).unwrap();
}

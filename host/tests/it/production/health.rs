//! `/healthz` and `/readyz`: what they say of a process and its database, and how little they ask.

use std::time::{Duration, Instant};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::serving::{Serving, text_at};
use crate::support::{Server, eventually};

const READY: (u16, &str) = (200, "ok\n");

async fn until(serving: &Serving, status: u16) -> String {
    eventually(&format!("/readyz to say {status}"), async || {
        let (said, text) = serving.get("/readyz").await;
        (said == status).then_some(text)
    })
    .await
}

#[tokio::test]
async fn it_is_ready_while_the_database_answers() {
    let mut server = Server::start().await;
    let serving = Serving::start(&server, &[]).await;
    let answer = serving.get("/readyz").await;
    assert_eq!((answer.0, &*answer.1), READY);

    server.stop_immediately();
    let reason = eventually("the reason", async || {
        let reason = until(&serving, 503).await;
        reason
            .starts_with("the database cannot be reached")
            .then_some(reason)
    })
    .await;
    for secret in ["127.0.0.1", "postgres", &server.port.to_string()] {
        assert!(!reason.contains(secret), "{reason}");
    }
    let answer = serving.get("/healthz").await;
    assert_eq!((answer.0, &*answer.1), READY);

    server.start_again();
    until(&serving, 200).await;
    let said = eventually("the line", async || {
        let said = serving.said(); // written before the answer, and read by another task
        said.contains("ready: the database answers again")
            .then_some(said)
    })
    .await;
    assert_eq!(said.matches("not ready: the database").count(), 1, "{said}");
    assert_eq!(
        said.matches("ready: the database answers again").count(),
        1,
        "{said}"
    );
}

#[tokio::test]
async fn a_silent_database_is_not_waited_for_and_a_busy_connection_is_no_silence() {
    let server = Server::start().await;
    // A caller that waits for the busy connection gives up before the one that is opened apart can answer.
    let settings = [("DATABASE_WAIT_TIMEOUT_MS", "50")];
    let serving = Serving::start(&server, &settings).await;
    let url = format!("{}/transaction", serving.base);
    let slow = tokio::spawn(async move { text_at(&url).await });
    let backend = eventually("the transaction", async || {
        let pid = std::fs::read_to_string(serving.folder.path().join("inside")).ok()?;
        pid.parse::<i32>().ok()
    })
    .await;
    let answer = serving.get("/readyz").await;
    assert_eq!(
        (answer.0, &*answer.1),
        READY,
        "a transaction has the connection"
    );

    server.signal(Signal::SIGSTOP); // no new connection either
    let reason = until(&serving, 503).await;
    assert_eq!(reason, "the database did not answer within 1000 ms\n");
    server.signal(Signal::SIGCONT);
    until(&serving, 200).await;
    std::fs::write(serving.folder.path().join("open"), "").unwrap();
    assert_eq!(slow.await.unwrap(), "committed");

    // The one that answers the app is silent, and nothing has it.
    let (backend, postmaster) = (Pid::from_raw(backend), &server);
    kill(backend, Signal::SIGSTOP).unwrap();
    postmaster.signal(Signal::SIGSTOP);
    let since = Instant::now();
    until(&serving, 503).await;
    assert!(since.elapsed() < Duration::from_secs(30));
    kill(backend, Signal::SIGCONT).unwrap();
    postmaster.signal(Signal::SIGCONT);
    until(&serving, 200).await;
}

#[tokio::test]
async fn probes_do_not_load_the_database() {
    let server = Server::start().await;
    let session = server.connect().await.unwrap();
    for statement in [
        "ALTER SYSTEM SET log_statement = 'all'",
        "SELECT pg_reload_conf()",
    ] {
        session.batch_execute(statement).await.unwrap();
    }
    eventually("the setting", async || {
        let session = server.connect().await.unwrap();
        let row = session.query_one("SHOW log_statement", &[]).await.unwrap();
        (row.get::<_, &str>(0) == "all").then_some(())
    })
    .await;
    let serving = Serving::start(&server, &[]).await;
    let asked = || {
        let log = std::fs::read_to_string(server.file("log")).unwrap();
        log.matches("SELECT 1\n").count()
    };
    serving.get("/readyz").await; // opens the connection, which may take long
    let before = asked();
    assert!(before >= 1, "it asks");
    let since = Instant::now();
    let probes = (0..20).map(async |_| {
        for _ in 0..20 {
            let answer = serving.get("/readyz").await;
            assert_eq!((answer.0, &*answer.1), READY);
        }
    });
    futures_util::future::join_all(probes).await;
    let asked = asked() - before;
    let seconds = usize::try_from(since.elapsed().as_secs()).unwrap();
    // Twice, on another connection, where the first answer takes long.
    assert!(asked <= 2 * (seconds + 1), "{asked} in {seconds} s");
}

#[tokio::test]
async fn the_app_has_the_paths_if_it_wants_them() {
    let server = Server::start().await;
    let serving = Serving::start(&server, &[("HTTP_HEALTH", "off")]).await;
    let answer = serving.get("/healthz").await;
    assert_eq!((answer.0, &*answer.1), (200, "the app's own"));
    assert_eq!(serving.get("/readyz").await.0, 404);
    let serving = Serving::start(&server, &[]).await;
    let answer = serving.get("/healthz").await;
    assert_eq!((answer.0, &*answer.1), READY);
    let post = crate::support::client().post(format!("{}/readyz", serving.base));
    assert_eq!(
        post.send().await.unwrap().status(),
        404,
        "only reading is a probe"
    );
}

#[tokio::test]
async fn from_the_signal_on_it_is_not_ready_and_serves_on() {
    let server = Server::start().await;
    let serving = Serving::start(&server, &[("DRAIN_DELAY_MS", "3600000")]).await;
    let address = serving.address().to_owned();
    assert_eq!(closes(&address, "/healthz").await, (200, false));
    serving.terminate();
    let reason = until(&serving, 503).await;
    assert_eq!(reason, "shutting down\n");
    assert_eq!(closes(&address, "/healthz").await, (200, true));
    assert_eq!(closes(&address, "/api/ping").await, (200, true));
    serving.terminate(); // the second ends the wait
    let (status, said) = serving.ended().await;
    assert!(status.success(), "{said}");
}

/// The status of an answer, and whether the client must not use the connection again.
async fn closes(address: &str, path: &str) -> (u16, bool) {
    let answer = crate::support::client();
    let answer = answer
        .get(format!("http://{address}{path}"))
        .send()
        .await
        .unwrap();
    let closes = answer
        .headers()
        .get("connection")
        .is_some_and(|it| it == "close");
    (answer.status().as_u16(), closes)
}

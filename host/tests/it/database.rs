//! The one connection and the cluster under it.

use std::path::Path;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::support::{Checkout, Host, eventually, lab};

#[tokio::test]
async fn data_and_service_survive_kill_9() {
    let mut host = Host::start().await;
    let created = host
        .client
        .post(host.url("/api/counters"))
        .json(&serde_json::json!({ "name": "kept" }))
        .send()
        .await
        .unwrap();
    assert_eq!(created.status(), 201);
    let postmaster = host.postmaster();
    host.signal(Signal::SIGKILL);
    host.ended().await;
    let checkout = std::mem::replace(&mut host.checkout, Checkout::nowhere());

    let host = Host::start_in(checkout, &[]).await;
    assert_eq!(host.json("/api/counters").await[0]["name"], "kept");
    assert!(!is_postgres(postmaster), "the orphan is gone");
    assert_eq!(
        host.until("one backend", |status| status.number("/db/backends") == 1)
            .await
            .number("/db/opened_total"),
        1
    );
}

#[tokio::test]
async fn requests_wait_for_a_server_that_comes_back() {
    let host = Host::start().await;
    host.backend().await;
    kill(Pid::from_raw(host.postmaster()), Signal::SIGKILL).unwrap();
    host.until("the loss", |status| {
        !status.0["db"]["reconnects"][0].is_null()
    })
    .await;
    // The server is still down, or starting, which is not reported.
    let answers = (0..8).map(|_| host.client.get(host.url("/api/ping")).send());
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert_eq!(host.status().await.number("/db/opened_total"), 2);
}

#[tokio::test]
async fn a_terminated_backend_is_replaced_by_one() {
    let host = Host::start().await;
    let first = host.backend().await;
    let observer = host.observe().await;
    observer
        .execute(
            "SELECT pg_terminate_backend($1)",
            &[&i32::try_from(first).unwrap()],
        )
        .await
        .unwrap();
    // The statement in flight at that moment may fail; the next may not.
    let second = eventually("a new backend", async || {
        let answer = host.get("/api/ping").await;
        if answer.status() != 200 {
            return None;
        }
        answer.json::<serde_json::Value>().await.unwrap()["backend_pid"].as_i64()
    })
    .await;
    assert_ne!(first, second);
    let status = host.status().await;
    assert_eq!(
        (
            status.number("/db/backends"),
            status.number("/db/opened_total"),
            status.number("/db/backend_pid")
        ),
        (1, 2, second)
    );
}

#[tokio::test]
async fn a_cluster_that_is_killed_comes_back() {
    let host = Host::start().await;
    let (backend, killed) = (host.backend().await, host.postmaster());
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(killed), Signal::SIGKILL).unwrap();
    eventually("the revival", async || {
        host.log().contains("and was restarted").then_some(())
    })
    .await;
    eventually("the app to answer again", async || {
        (host.get("/api/ping").await.status() == 200).then_some(())
    })
    .await;
    assert_ne!(host.postmaster(), killed);
    assert_ne!(host.backend().await, backend);
    assert_eq!(host.status().await.number("/db/backends"), 1);
}

#[tokio::test]
async fn a_client_that_leaves_in_a_query_leaves_one_backend() {
    const ROUTES: &str = r#"Router::new()
        .route("/sleep", get(async |State(app): State<AppState>| { drop(app.db.query("SELECT pg_sleep(600)", &[]).await) }))
        .route("/transaction", get(async |State(app): State<AppState>| {
            use futures_util::FutureExt;
            drop(app.db.transaction(|tx| async move { tx.query("SELECT pg_sleep(601)", &[]).await }.boxed()).await)
        }))"#;
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(ROUTES));
    let host = Host::start_in(checkout, &[("DATABASE_STATEMENT_TIMEOUT_MS", "2000")]).await;
    let (backend, observer) = (host.backend().await, host.observe().await);

    for (path, query) in [
        ("/sleep", "SELECT pg_sleep(600)"),
        ("/transaction", "SELECT pg_sleep(601)"),
    ] {
        let leaving = tokio::spawn(host.client.get(host.url(path)).send());
        until_running(&observer, query).await;
        leaving.abort();
        // Abandoned on the shared lane it ends by its limit; in a transaction it is cancelled. Either way nobody opens
        // a second backend meanwhile.
        assert_eq!(host.backend().await, backend);
        let status = host
            .until("the count", |status| status.number("/db/backends") >= 0)
            .await;
        assert_eq!(
            (
                status.number("/db/backends"),
                status.number("/db/opened_total")
            ),
            (1, 1)
        );
    }
    let open: i64 = observer
        .query_one(
            "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(open, 0, "the abandoned transaction is rolled back");
}

#[tokio::test]
async fn an_abandoned_transaction_is_cancelled_at_once_and_not_by_its_limit() {
    const ROUTES: &str = r#"Router::new().route("/transaction", get(async |State(app): State<AppState>| {
            use futures_util::FutureExt;
            drop(app.db.transaction(|tx| async move { tx.query("SELECT pg_sleep(600)", &[]).await }.boxed()).await)
        }))"#;
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(ROUTES));
    // Without a limit of its own only the cancel can end it.
    let host = Host::start_in(
        checkout,
        &[
            ("DATABASE_STATEMENT_TIMEOUT_MS", "0"),
            ("DATABASE_WAIT_TIMEOUT_MS", "60000"),
        ],
    )
    .await;
    let (backend, observer) = (host.backend().await, host.observe().await);
    let leaving = tokio::spawn(host.client.get(host.url("/transaction")).send());
    until_running(&observer, "SELECT pg_sleep(600)").await;
    leaving.abort();
    assert_eq!(host.backend().await, backend);
}

#[tokio::test]
async fn a_transaction_whose_failure_was_overlooked_is_not_called_committed() {
    let host = Host::with_built_lab(lab!(
        r#"Router::new().route("/overlooked", get(async |State(app): State<AppState>| {
            use futures_util::FutureExt;
            let done = app.db.transaction(|tx| async move {
                tx.execute("INSERT INTO counter (name) VALUES ('lost')", &[]).await?;
                drop(tx.execute("INSERT INTO no_such_table VALUES (1)", &[]).await);
                Ok::<_, shared::DbError>(())
            }.boxed()).await;
            done.is_ok().to_string()
        }))"#,
    ))
    .await;
    assert_eq!(host.text("/overlooked").await, "false");
    assert_eq!(host.json("/api/counters").await, serde_json::json!([]));
}

#[tokio::test]
async fn nothing_said_to_a_checked_out_session_reaches_the_next_user() {
    let host = Host::with_built_lab(lab!(r#"Router::new().route("/raw", get(async |State(app): State<AppState>| {
            let held = app.db.checkout().await.unwrap();
            held.client().batch_execute("SET search_path = nowhere; SELECT pg_advisory_lock(7); LISTEN news; BEGIN; CREATE TEMP TABLE t ()").await.unwrap();
        })).route("/session", get(async |State(app): State<AppState>| {
            let left = "SELECT current_setting('search_path') || ' ' || (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')
                || ' ' || (SELECT count(*) FROM pg_listening_channels()) || ' ' || (SELECT count(*) FROM pg_class WHERE relname = 't')";
            app.db.query_one(left, &[]).await.unwrap().get::<_, String>(0)
        }))"#))
    .await;
    let backend = host.backend().await;
    host.get("/raw").await;
    assert_eq!(host.text("/session").await, "\"$user\", public 0 0 0");
    assert_eq!(host.backend().await, backend);
}

#[tokio::test]
async fn a_changed_table_does_not_break_prepared_statements() {
    let host = Host::with_built_lab(lab!(r#"Router::new().route("/all", get(async |State(app): State<AppState>| app.db.query("SELECT * FROM counter", &[]).await.map(|rows| rows.len().to_string()).map_err(|error| error.to_string())))"#))
    .await;
    assert_eq!(host.text("/all").await, "0");
    host.observe()
        .await
        .batch_execute("ALTER TABLE counter ADD COLUMN colour TEXT")
        .await
        .unwrap();
    assert_eq!(host.text("/all").await, "0");
}

#[tokio::test]
async fn with_database_url_no_cluster_is_started() {
    let theirs = Host::start().await;
    let url = format!(
        "postgres://postgres@/postgres?host={}",
        theirs.checkout.path(".dev/postgres/socket").display()
    );
    let checkout = Checkout::new();
    checkout.write(".env", &format!("DATABASE_URL={url}\n"));
    let host = Host::start_in(checkout, &[]).await;
    assert_eq!(host.get("/api/ping").await.status(), 200);
    assert!(!host.checkout.path(".dev/postgres").exists());
    // Both count only their own.
    theirs.backend().await;
    assert_eq!(host.status().await.number("/db/backends"), 1);
    assert_eq!(theirs.status().await.number("/db/backends"), 1);
}

/// Waits until exactly one backend runs this statement.
async fn until_running(observer: &tokio_postgres::Client, statement: &str) {
    let running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = $1";
    eventually("the query to run", async || {
        let row = observer.query_one(running, &[&statement]).await.unwrap();
        (row.get::<_, i64>(0) == 1).then_some(())
    })
    .await;
}

fn is_postgres(pid: i32) -> bool {
    std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))
        .is_ok_and(|stat| stat.contains("(postgres) ") && !stat.contains(") Z"))
}

//! A primary and its standby, both in DATABASE_URL: whichever takes writes is the database.

use crate::support::{Checkout, Host, Server, eventually, lab, migrate};

/// `/write` in one statement, `/tx` in a transaction: the port of the server that took it, or what went wrong.
const LAB: &str = r#"Router::new()
    .route("/write", get(async |State(app): State<AppState>| {
        let write = "INSERT INTO counter (name) VALUES (gen_random_uuid()) RETURNING current_setting('port')";
        match app.db.query_one(write, &[]).await {
            Ok(row) => (StatusCode::OK, row.get::<_, String>(0)),
            Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        }
    }))
    .route("/tx", get(async |State(app): State<AppState>| {
        use futures_util::FutureExt;
        let done = app.db.transaction(|tx| async move {
            let write = "INSERT INTO counter (name) VALUES (gen_random_uuid()) RETURNING current_setting('port')";
            Ok::<String, shared::DbError>(tx.query_one(write, &[]).await?.get(0))
        }.boxed()).await;
        match done {
            Ok(port) => (StatusCode::OK, port),
            Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        }
    }))
    .route("/slow", get(async |State(app): State<AppState>| {
        app.db.query("SELECT pg_sleep(600)", &[]).await.err().map(|error| error.to_string()).unwrap_or_default()
    }))"#;

fn url(servers: &[&Server]) -> String {
    let hosts: Vec<_> = servers
        .iter()
        .map(|server| format!("127.0.0.1:{}", server.port))
        .collect();
    format!(
        "postgres://postgres@{}/postgres?target_session_attrs=read-write",
        hosts.join(",")
    )
}

async fn host_on(url: &str, more: &[(&str, &str)]) -> Host {
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(LAB));
    let mut settings = vec![("DATABASE_URL", url)];
    settings.extend(more);
    Host::start_in(checkout, &settings).await
}

/// Whether a write went to this server.
async fn writes_to(host: &Host, path: &str, server: &Server) -> Option<()> {
    let answer = host.get(path).await;
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    (status == 200 && text == server.port.to_string()).then_some(())
}

#[tokio::test]
async fn a_standby_that_is_promoted_takes_over_without_a_restart() {
    let mut primary = Server::start().await;
    let standby = primary.standby().await;
    // The standby first: only what is asked of a session leads to the primary.
    let host = host_on(&url(&[&standby, &primary]), &[]).await;
    assert_eq!(host.text("/write").await, primary.port.to_string());
    assert_eq!(host.text("/tx").await, primary.port.to_string());
    let (pid, generation) = (host.pid(), host.status().await.generation());

    // Nothing of what was confirmed may be lost with the primary.
    primary.caught_up(&standby).await;
    let slow = tokio::spawn(host.client.get(host.url("/slow")).send());
    let observer = primary.connect().await.unwrap();
    let running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'";
    eventually("the statement to run", async || {
        let row = observer.query_one(running, &[]).await.unwrap();
        (row.get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    primary.stop_immediately();
    let told = slow.await.unwrap().unwrap().text().await.unwrap();
    assert!(!told.is_empty(), "it was under way and cannot be repeated");

    // No server takes writes now. A caller that has waited long enough gets what every address says.
    let told = eventually("word of both servers", async || {
        let answer = host.get("/write").await;
        assert_eq!(answer.status(), 503);
        Some(answer.text().await.unwrap())
    })
    .await;
    for part in [
        "no server that is read-write was found".to_owned(),
        format!("127.0.0.1:{}: it is read-only", standby.port),
        format!("127.0.0.1:{}: Connection refused", primary.port),
        "promote a standby".to_owned(),
    ] {
        assert!(told.contains(&part), "{part}: {told}");
    }

    standby.promote();
    eventually("writes on the second server", async || {
        writes_to(&host, "/write", &standby).await
    })
    .await;
    assert_eq!(host.text("/tx").await, standby.port.to_string());
    let status = host.status().await;
    assert_eq!((host.pid(), status.generation()), (pid, generation));
    assert_eq!(status.number("/db/opened_total"), 2, "opened once more");
    let lost = &status.0["db"]["reconnects"];
    assert_eq!(
        (lost[0]["times"].as_u64(), lost[1].is_null()),
        (Some(1), true),
        "{lost}"
    );
    let kept: i64 = standby
        .connect()
        .await
        .unwrap()
        .query_one("SELECT count(*) FROM counter", &[])
        .await
        .unwrap()
        .get(0);
    assert!(kept >= 4, "{kept} of what both servers have confirmed");
}

#[tokio::test]
async fn a_primary_that_becomes_read_only_is_left_for_one_that_takes_writes() {
    let primary = Server::start().await;
    let standby = primary.standby().await;
    for (path, connections) in [("/write", "1"), ("/tx", "1"), ("/tx", "2")] {
        primary.read_only(false).await;
        let limits = [
            ("DATABASE_MAX_CONNECTIONS", connections),
            ("DATABASE_CONNECT_TIMEOUT_MS", "1000"),
        ];
        let host = host_on(&url(&[&standby, &primary]), &limits).await;
        assert_eq!(host.text(path).await, primary.port.to_string());
        // The session stays, as one does that reached a former primary by its name.
        primary.read_only(true).await;
        let told = host.text(path).await;
        assert!(told.contains("25006"), "{path}: {told}");
        let told = host.text(path).await;
        assert!(
            told.contains("no server that is read-write"),
            "{path}: {told}"
        );
        primary.read_only(false).await;
        eventually("writes again", async || {
            writes_to(&host, path, &primary).await
        })
        .await;
        let status = host.status().await;
        let lost = &status.0["db"]["reconnects"][0];
        assert!(lost["reason"].as_str().unwrap().contains("25006"), "{lost}");
    }
}

#[tokio::test]
async fn an_address_that_says_nothing_does_not_hold_up_the_next() {
    let primary = Server::start().await;
    // Accepts, as the kernel does for a program that hangs.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = |rest: &str| format!("postgres://postgres@127.0.0.1:{port}{rest}/postgres");
    let checkout = Checkout::new();
    checkout.write(".env", "DATABASE_CONNECT_TIMEOUT_MS=500\n");
    migrate(&checkout, &url(&format!(",127.0.0.1:{}", primary.port))).unwrap();
    let said = migrate(&checkout, &url("")).unwrap_err();
    assert!(said.contains("no answer within 500 ms"), "{said}");
    drop(silent);
}

#[tokio::test]
async fn a_standby_alone_is_refused_with_what_to_do() {
    let primary = Server::start().await;
    let standby = primary.standby().await;
    let checkout = Checkout::new();
    let said = migrate(&checkout, &url(&[&standby])).unwrap_err();
    for part in [
        "no server that is read-write was found",
        "promote a standby",
        "target_session_attrs=any",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

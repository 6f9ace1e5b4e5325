//! The leak, its cure, and what lies beyond it. Counted here by a connection of the test's own.

use crate::support::{Checkout, Host, eventually, lab};

/// Backends of the app, from any pool.
async fn backends(host: &Host, observer: &tokio_postgres::Client) -> i64 {
    let name = format!("host-dev:{}:%", host.pid());
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
        AND application_name LIKE $1 AND application_name NOT LIKE '%:observer'";
    observer.query_one(sql, &[&name]).await.unwrap().get(0)
}

/// A save and a request, again and again.
async fn reload_and_request(host: &Host, generations: std::ops::RangeInclusive<u64>) {
    for generation in generations {
        host.checkout.write_lab(&format!(
            r#"Router::new().route("/save", get(async || "{generation}"))"#
        ));
        host.until_generation(generation).await;
        host.backend().await;
        host.until("the one before to retire", |status| {
            status.is_retired(generation - 1)
        })
        .await;
    }
}

async fn start(pool: &str, isolation: &str) -> (Host, tokio_postgres::Client) {
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!("Router::new()"));
    let host = Host::start_in(
        checkout,
        &[("HOST_POOL", pool), ("HOST_ISOLATION", isolation)],
    )
    .await;
    let observer = host.observe().await;
    (host, observer)
}

#[tokio::test]
async fn a_pool_in_a_static_on_the_hosts_runtime_leaks_a_backend_each_reload() {
    let (host, observer) = start("app", "off").await;
    assert_eq!(backends(&host, &observer).await, 0, "lazy");
    host.backend().await;
    for generation in 2..=4 {
        reload_and_request(&host, generation..=generation).await;
        assert_eq!(
            backends(&host, &observer).await,
            i64::try_from(generation).unwrap()
        );
        let status = host.status().await;
        assert_eq!(
            status.number("/db/backends"),
            i64::try_from(generation).unwrap()
        );
        assert_eq!(
            (&status.0["pool_owner"], &status.0["isolation"]),
            (&"app".into(), &"off".into())
        );
    }
    // Counted after the swap, so before or after the request that followed it.
    let counted = ["conns 3 of 16", "conns 4 of 16"];
    let log = host.log();
    assert!(
        log.contains("THE LEAK") && counted.iter().any(|line| log.contains(line)),
        "{log}"
    );
}

#[tokio::test]
async fn the_pool_of_the_host_stays_one_backend() {
    let (host, observer) = start("host", "on").await;
    let backend = host.backend().await;
    for generation in 2..=4 {
        reload_and_request(&host, generation..=generation).await;
        assert_eq!(
            (host.backend().await, backends(&host, &observer).await),
            (backend, 1)
        );
    }
}

#[tokio::test]
async fn a_pool_in_a_static_ends_with_an_isolated_generation() {
    let (host, observer) = start("app", "on").await;
    let first = host.backend().await;
    for generation in 2..=4 {
        reload_and_request(&host, generation..=generation).await;
        eventually("one backend to be left", async || {
            (backends(&host, &observer).await == 1).then_some(())
        })
        .await;
    }
    assert_ne!(host.backend().await, first);
}

#[tokio::test]
async fn another_database_in_dotenv_replaces_the_pool_and_fails_no_request() {
    let (theirs, host) = (Host::start().await, Host::start().await);
    let (before, observer) = (host.backend().await, host.observe().await);
    let name = serde_json::json!({ "name": "in the other database" });
    theirs
        .client
        .post(theirs.url("/api/counters"))
        .json(&name)
        .send()
        .await
        .unwrap();

    let socket = theirs.checkout.path(".dev/postgres/socket");
    let url = format!("postgres://postgres@/postgres?host={}", socket.display());
    host.checkout
        .write(".env", &format!("DATABASE_URL={url}\n"));
    eventually("the other database", async || {
        let answer = host.get("/api/counters").await;
        assert_eq!(answer.status(), 200);
        (answer.json::<serde_json::Value>().await.unwrap()[0]["name"] == name["name"]).then_some(())
    })
    .await;
    eventually("the old pool to be drained", async || {
        (backends(&host, &observer).await == 0).then_some(())
    })
    .await;
    let status = host.status().await;
    assert_eq!(
        (
            status.number("/db/backends"),
            status.number("/db/opened_total"),
            status.number("/restarts")
        ),
        (1, 2, 0)
    );
    assert_ne!(host.backend().await, before);

    // A faulty line changes nothing and is named.
    host.checkout
        .write(".env", "DATABASE_URL=mysql://localhost/app\n");
    eventually("the complaint", async || {
        host.log().contains("mysql").then_some(())
    })
    .await;
    assert_eq!(host.json("/api/counters").await[0]["name"], name["name"]);
    // And back, to the cluster that has been kept.
    std::fs::remove_file(host.checkout.path(".env")).unwrap();
    eventually("the private cluster", async || {
        (host.json("/api/counters").await == serde_json::json!([])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_changed_column_type_needs_no_restart() {
    let count = |kind: &str| {
        format!(
            r#"Router::new().route("/count", get(async |State(app): State<AppState>| {{
        let row = app.db.query_one("SELECT count FROM counter", &[]).await.unwrap();
        row.try_get::<_, {kind}>(0).map_or_else(|error| error.to_string(), |count| count.to_string())
    }}))"#
        )
    };
    let host = Host::with_lab(&count("i32")).await;
    let observer = host.observe().await;
    observer
        .batch_execute("INSERT INTO counter (name, count) VALUES ('a', 7)")
        .await
        .unwrap();
    let backend = host.backend().await;
    assert_eq!(host.text("/count").await, "7");

    observer.batch_execute("ALTER TABLE counter ALTER COLUMN count TYPE BIGINT; UPDATE counter SET count = 5000000000").await.unwrap();
    assert!(
        host.text("/count").await.contains("error"),
        "the old code cannot read the new type, and says so"
    );
    host.checkout.write_lab(&count("i64"));
    host.until_generation(2).await;
    assert_eq!(host.text("/count").await, "5000000000");
    assert_eq!(host.backend().await, backend);
}

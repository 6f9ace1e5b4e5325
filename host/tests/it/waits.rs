//! Waiting for the one connection, explained.

use crate::support::{Checkout, Host};

/// `/held` keeps the connection until the file `go` is there; the others want it meanwhile.
const WAITS: &str = r#"Router::new()
    .route("/held", get(async |State(app): State<AppState>| {
        let held = app.db.checkout().await.unwrap();
        gate("go").await;
        drop(held);
        "done"
    }))
    .route("/wants", get(async |State(app): State<AppState>| said(app.db.query("SELECT 1", &[]).await)))
    .route("/nested", get(async |State(app): State<AppState>| {
        let db = app.db.clone();
        said(app.db.transaction(|_| async move { db.query("SELECT 1", &[]).await }.boxed()).await)
    }))
    .route("/twice", get(async |State(app): State<AppState>| {
        let first = app.db.checkout().await.unwrap();
        let second = said(app.db.execute("SELECT 1", &[]).await);
        drop(first);
        format!("{second}; then {}", said(app.db.query("SELECT 1", &[]).await))
    }))
    .route("/beside", get(async |State(app): State<AppState>| {
        let work = app.db.transaction(|tx| async move { tx.query("SELECT pg_sleep(0.05)", &[]).await }.boxed());
        let (inside, beside) = futures_util::join!(work, app.db.query("SELECT 1", &[]));
        format!("{} {}", said(inside), said(beside))
    }))"#;

fn lab() -> String {
    format!(
        "use futures_util::FutureExt;\n\
         fn said<T>(result: Result<T, shared::DbError>) -> String {{ result.map_or_else(|error| error.to_string(), |_| \"ok\".to_owned()) }}\n\
         {WAITS}"
    )
}

#[tokio::test]
async fn a_request_that_would_wait_for_itself_is_refused_with_both_lines() {
    let host = Host::with_lab(&lab()).await;
    for path in ["/nested", "/twice"] {
        let said = host.text(path).await;
        let lines = said.matches("app_lib/src/lab.rs:").count();
        assert!(
            lines == 2 && said.contains("would wait for itself"),
            "{path}: {said}"
        );
    }
    assert!(
        host.text("/twice").await.ends_with("then ok"),
        "given back, it may ask again"
    );
    assert_eq!(host.text("/beside").await, "ok ok", "beside is not inside");
}

#[tokio::test]
async fn a_wait_beyond_the_limit_names_who_has_the_connection() {
    let checkout = Checkout::new();
    checkout.add_lab(&lab());
    let host = Host::start_in(checkout, &[("DATABASE_WAIT_TIMEOUT_MS", "200")]).await;
    let held = tokio::spawn(host.client.get(host.url("/held")).send());
    let status = host
        .until("the holder", |status| {
            !status.0["db"]["holders"][0].is_null()
        })
        .await;
    let holder = &status.0["db"]["holders"][0];
    assert_eq!(holder["who"], "GET /held, generation 1");
    let said = host.text("/wants").await;
    for part in [
        "waited 200 ms",
        "GET /held, generation 1 holds it alone at app_lib/src/lab.rs:",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    host.checkout.write("go", "");
    assert_eq!(held.await.unwrap().unwrap().text().await.unwrap(), "done");
    assert_eq!(host.text("/wants").await, "ok");
}

//! Waiting for the one connection, explained; and what its session must not keep.

use crate::support::{Checkout, Host, eventually, lab};

/// `/held` keeps the connection until the file `go` is there; the others want it meanwhile.
const WAITS: &str = r#"Router::new()
    .route("/held", get(async |State(app): State<AppState>| {
        let held = app.db.checkout().await.unwrap();
        gate("go").await;
        drop(held);
        "done"
    }))
    .route("/held_in_transaction", get(async |State(app): State<AppState>| {
        said(app.db.transaction(|_| async move { gate("go").await; Ok::<_, shared::DbError>(()) }.boxed()).await)
    }))
    .route("/wants", get(async |State(app): State<AppState>| said(app.db.query("SELECT 1", &[]).await)))
    .route("/nested", get(async |State(app): State<AppState>| {
        let db = app.db.clone();
        said(app.db.transaction(|_| async move { db.query("SELECT 1", &[]).await }.boxed()).await)
    }))
    .route("/two", get(async |State(app): State<AppState>| {
        let (db, other) = (app.db.clone(), shared::Db::new(&app.db_config));
        let within = other.clone();
        said(app.db.transaction(|_| async move {
            if other.query("SELECT 1", &[]).await.is_err() { return Ok(Vec::new()); }
            within.transaction(|_| async move { db.query("SELECT 1", &[]).await }.boxed()).await
        }.boxed()).await)
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
    let host = Host::with_built_lab(lab!(lab())).await;
    // In /two only the third statement would: the second database has a connection of its own.
    for path in ["/nested", "/twice", "/two"] {
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
    checkout.add_built_lab(lab!(lab()));
    let host = Host::start_in(checkout, &[("DATABASE_WAIT_TIMEOUT_MS", "200")]).await;
    assert_eq!(host.text("/wants").await, "ok"); // to open it may take longer than the limit
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
    // The host itself says what for, and not where in its own source.
    host.checkout.write(
        "migrations/V3__colour.sql",
        "ALTER TABLE counter ADD colour text;",
    );
    let status = host
        .until("the migration that does not get it", |status| {
            status.0["health"]["trouble"]["cause"] == "schema"
        })
        .await;
    let said = &status.0["schema"]["failure"]["message"];
    assert!(
        said.as_str().unwrap().starts_with(
            "the host (migrations) waited 200 ms for the database connection (DATABASE_WAIT_TIMEOUT_MS); \
             GET /held, generation 1 holds it alone at app_lib/src/lab.rs:"
        ),
        "{said}"
    );
    assert_eq!(
        status.0["health"]["trouble"]["remedy"],
        "The host tries again by itself."
    );
    host.checkout.write("go", "");
    assert_eq!(held.await.unwrap().unwrap().text().await.unwrap(), "done");
    host.until("the migration", |status| {
        status.0["schema"]["failure"].is_null()
    })
    .await;
    assert_eq!(host.text("/wants").await, "ok");
}

#[tokio::test]
async fn old_code_that_holds_the_connection_is_cut_off_when_new_code_wants_it() {
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(lab()));
    let limits = [
        ("DRAIN_TIMEOUT_MS", "60000"),
        ("APP_START_TIMEOUT_MS", "2000"),
    ];
    let host = Host::start_in(checkout, &limits).await;
    let send = |path: &str| tokio::spawn(host.client.get(host.url(path)).send());
    let is_held = async || {
        host.until("the holder", |status| {
            status.0["db"]["holders"][0]["alone"] == true
        })
        .await;
    };
    let cut_off = async |held: tokio::task::JoinHandle<reqwest::Result<reqwest::Response>>,
                         parts: [&str; 2]| {
        let answer = held.await.unwrap().unwrap();
        assert_eq!(answer.status(), 503);
        let said = answer.text().await.unwrap();
        for part in parts {
            assert!(said.contains(part), "{part}: {said}");
        }
        let told = || {
            host.log()
                .contains(&format!("cut off: {}", parts[0]))
                .then_some(())
        };
        eventually("the terminal", async || told()).await;
    };

    let held = send("/held");
    is_held().await;
    host.checkout.write_lab(&lab().replace("\"done\"", "\"2\""));
    host.until_generation(2).await;
    assert_eq!(host.text("/wants").await, "ok");
    let holder =
        "GET /held, generation 1 held the database connection alone at app_lib/src/lab.rs:";
    cut_off(
        held,
        [
            holder,
            "GET /wants, generation 2 of the newer code has waited 1 s",
        ],
    )
    .await;

    // Not for new code that wants it at its start, which may fail.
    let held = send("/held_in_transaction");
    is_held().await;
    host.checkout.edit(
        "app_lib/src/lib.rs",
        "    let state = AppState {",
        "    state.db.query(\"SELECT 1\", &[]).await?;\n    let state = AppState {",
    );
    let status = host
        .until("the start to be given up", |status| {
            status.phase() == "load_failed"
        })
        .await;
    let said = status.0["build"]["refused"].as_str().unwrap();
    let holder = "2000 ms (APP_START_TIMEOUT_MS); if it waits for the database connection: \
        GET /held_in_transaction, generation 2 holds it alone at app_lib/src/lab.rs:";
    assert!(said.contains(holder), "{said}");
    host.checkout.write("go", "");
    let answer = held.await.unwrap().unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.text().await.unwrap()),
        (200, "ok".to_owned())
    );
    host.checkout.edit(
        "app_lib/src/lib.rs",
        "query(\"SELECT 1\"",
        "query(\"SELECT 2\"",
    );
    host.until_generation(3).await;
    assert_eq!(host.status().await.number("/db/opened_total"), 1);
}

#[tokio::test]
async fn statements_take_turns_where_a_pooler_cannot_pipeline() {
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(r#"Router::new().route("/count", get(async |State(app): State<AppState>| app.db.query("SELECT FROM counter", &[]).await.unwrap().len().to_string()))"#));
    let host = Host::start_in(checkout, &[("DATABASE_PIPELINE", "off")]).await;
    assert_eq!(host.text("/count").await, "0");
    // Both would be sent to stand before this lock, one behind the other.
    let observer = host.observe().await;
    observer.batch_execute("BEGIN; LOCK counter").await.unwrap();
    let asked = [0, 1].map(|_| tokio::spawn(host.client.get(host.url("/count")).send()));
    let status = host
        .until("one to stand there and one to wait", |status| {
            !status.0["db"]["holders"][0].is_null() && status.number("/db/waiting") > 0
        })
        .await;
    assert!(status.0["db"]["holders"][1].is_null(), "{}", status.0["db"]);
    observer.batch_execute("ROLLBACK").await.unwrap();
    for answer in asked {
        assert_eq!(answer.await.unwrap().unwrap().text().await.unwrap(), "0");
    }
}

/// `/send` sends the statement in its body; `/tx` in a transaction.
const SENDS: &str = r#"Router::new()
    .route("/send", post(async |State(app): State<AppState>, sql: String| said(app.db.query(&sql, &[]).await)))
    .route("/tx", post(async |State(app): State<AppState>, sql: String| {
        said(app.db.transaction(|tx| async move { tx.execute(&sql, &[]).await }.boxed()).await)
    }))
    .route("/left", get(async |State(app): State<AppState>| {
        let left = "SELECT current_setting('search_path') || ' ' || current_user || ' ' || (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')
            || ' ' || (SELECT count(*) FROM pg_class WHERE relname = 'scratch') || ' ' || (SELECT count(*) FROM pg_listening_channels())";
        app.db.query_one(left, &[]).await.unwrap().get::<_, String>(0)
    }))"#;

const CLEAN: &str = "\"$user\", public postgres 0 0 0";

async fn send(host: &Host, path: &str, sql: &str) -> String {
    let request = host.client.post(host.url(path)).body(sql.to_owned());
    request.send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn what_marks_the_session_is_refused_where_it_is_shared_and_taken_back_where_it_is_not() {
    let host = Host::with_built_lab(lab!(lab().replace(WAITS, SENDS))).await;
    for sql in [
        "SET search_path = nowhere",
        "-- a comment\nlisten news",
        "SELECT pg_advisory_lock(7)",
        "CREATE TEMP TABLE scratch ()",
        "BEGIN",
    ] {
        let said = send(&host, "/send", sql).await;
        assert!(
            said.contains("app_lib/src/lab.rs:") && said.contains("use db."),
            "{sql}: {said}"
        );
        if sql != "BEGIN" {
            assert_eq!(send(&host, "/tx", sql).await, "ok", "{sql}");
            assert_eq!(host.text("/left").await, CLEAN, "{sql}");
        }
    }
    let said = send(&host, "/tx", "COMMIT").await;
    assert!(said.contains("Ok commits"), "{said}");
    assert_eq!(host.status().await.number("/db/opened_total"), 1);
}

#[tokio::test]
async fn what_a_function_said_to_the_session_ends_with_its_generation() {
    let host = Host::with_built_lab(lab!(lab().replace(WAITS, SENDS))).await;
    let make = "CREATE FUNCTION mark() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
        PERFORM set_config('search_path', 'nowhere', false); PERFORM pg_advisory_lock(7); RETURN 1; END $$";
    assert_eq!(send(&host, "/send", make).await, "ok");
    assert_eq!(send(&host, "/send", "SELECT public.mark()").await, "ok");
    assert_eq!(host.text("/left").await, "nowhere postgres 1 0 0");
    let backend = host.status().await.number("/db/backend_pid");
    host.checkout.write_lab(
        &lab()
            .replace(WAITS, SENDS)
            .replace("said(app.db.query", "said(  app.db.query")
            .replace("\"ok\"", "\"fine\""),
    );
    host.until_generation(2).await;
    assert_eq!(host.text("/left").await, CLEAN);
    assert_eq!(host.status().await.number("/db/backend_pid"), backend);
}

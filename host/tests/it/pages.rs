//! The pages of the host for an app that failed: a database error that a handler returned, and a panic.

use serde_json::Value;

use crate::support::{Checkout, Chromium, Host};

/// Errors become the app's own answer, which says nothing of the cause.
const FAILS: &str = r#"{
    struct Own(shared::DbError);
    impl From<shared::DbError> for Own {
        fn from(error: shared::DbError) -> Self { Self(error) }
    }
    impl IntoResponse for Own {
        fn into_response(self) -> Response {
            let status = match self.0 { shared::DbError::Row { .. } => 503, _ => 500 };
            (StatusCode::from_u16(status).unwrap(), axum::Json(serde_json::json!({ "own": "answer" }))).into_response()
        }
    }
    async fn wrong(State(app): State<AppState>) -> Result<String, Own> {
        let rows = app.db.query("SELECT nam FROM counter", &[]).await?;
        Ok(rows.len().to_string())
    }
    async fn transaction(State(app): State<AppState>) -> Result<String, Own> {
        use futures_util::FutureExt;
        app.db.transaction(|tx| async move {
            let zero = 0_i32;
            tx.query_one("SELECT 1 / $1::int", &[&zero]).await?;
            Ok("never".to_owned())
        }.boxed()).await
    }
    async fn row(State(app): State<AppState>) -> Result<String, Own> {
        let row = app.db.query_one("SELECT 1 AS one", &[]).await?;
        Ok(shared::db::column(&row, "two")?)
    }
    async fn recovers(State(app): State<AppState>) -> String {
        let failed = app.db.query("SELECT nam FROM counter", &[]).await.is_err();
        format!("recovered: {failed}")
    }
    async fn page(State(app): State<AppState>) -> (StatusCode, Html<&'static str>) {
        app.db.query("SELECT nam FROM counter", &[]).await.unwrap_err();
        (StatusCode::INTERNAL_SERVER_ERROR, Html("<p>own page</p>"))
    }
    async fn long() -> String {
        let line = "a message that does not end ".repeat(20);
        panic!("{}", [line.as_str(); 40].join("\n"))
    }
    Router::new().route("/wrong", get(wrong)).route("/transaction", get(transaction)).route("/row", get(row))
        .route("/recovers", get(recovers)).route("/page", get(page)).route("/long", get(long))
}"#;

async fn ask(host: &Host, path: &str, accept: &str) -> (u16, String) {
    let request = host.client.get(host.url(path)).header("accept", accept);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_browser_is_told_which_statement_failed_where_and_why() {
    let host = Host::with_lab(FAILS).await;
    for (path, status, parts) in [
        (
            "/wrong",
            500,
            &[
                "<h1>column &quot;nam&quot; does not exist</h1>",
                "42703",
                "Hint: Perhaps you meant to reference the column",
                "SELECT <mark>nam</mark> FROM counter",
                "app_lib/src/lab.rs:",
                "let rows = app.db.query(&quot;SELECT nam FROM counter&quot;, &amp;[]).await?;</mark>",
                "/__dev/browser.js",
            ][..],
        ),
        (
            "/transaction",
            500,
            &[
                "<h1>division by zero</h1>",
                "22012",
                "SELECT 1 / $1::int",
                "tx.query_one(&quot;SELECT 1 / $1::int&quot;, &amp;[&amp;zero]).await?;</mark>",
            ],
        ),
        (
            "/row",
            503,
            &[
                "<h1>the query returns no column `two`; it has one</h1>",
                "shared::db::column(&amp;row, &quot;two&quot;)?)</mark>",
            ],
        ),
    ] {
        let (got, page) = ask(&host, path, "text/html").await;
        assert_eq!(got, status, "{path}");
        for part in parts {
            assert!(page.contains(part), "{path}: {part} in {page}");
        }
        let (_, own) = ask(&host, path, "application/json").await;
        assert_eq!(own, r#"{"own":"answer"}"#, "{path}");
    }
    assert_eq!(
        ask(&host, "/recovers", "text/html").await,
        (200, "recovered: true".to_owned())
    );
    let (_, page) = ask(&host, "/page", "text/html").await;
    assert_eq!(page, "<p>own page</p>");
    let requests = &host.status().await.0["requests"];
    let told = |i: usize| requests[i]["database"].as_str().unwrap_or_default();
    assert_eq!(requests[1]["database"], Value::Null, "it recovered");
    assert!(told(0).starts_with("42703: column \"nam\" does not exist at app_lib/src/lab.rs:"));
}

#[tokio::test]
async fn the_pages_of_a_failed_handler_are_readable() {
    let Some(browser) = Chromium::start().await else {
        return;
    };
    let checkout = Checkout::new();
    checkout.add_lab(FAILS);
    let host = Host::start_in(checkout, &[]).await;
    for (path, name) in [("/wrong", "database"), ("/long", "panic-long")] {
        for (width, scheme) in [(1280, "light"), (390, "dark")] {
            let screenshot = format!("{name}-{width}");
            let url = host.url(path);
            browser.inspect(&url, width, scheme, &screenshot).await;
        }
    }
    // The line after the marked one stands below it.
    let below = "(() => { const mark = document.querySelector('.source mark'), next = document.createRange(); \
        next.selectNodeContents(mark.nextSibling); next.setStart(mark.nextSibling, 1); \
        return next.getClientRects()[0].top >= mark.getBoundingClientRect().bottom - 1 })()";
    assert_eq!(browser.value(below).await, true);
    let heading = "document.querySelector('h1').clientHeight < innerHeight / 2 \
        && document.querySelector('.said').textContent.split('\\n').length === 40";
    assert_eq!(browser.value(heading).await, true);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn the_sample_page_follows_its_files_and_the_dashboard_of_a_fresh_app_claims_nothing_wrong() {
    let checkout = Checkout::new();
    // As plain axum apps are written: with items that are public in a private module.
    checkout.add_lab("helper() }\npub fn helper() -> Router<AppState> { Router::new()");
    let host = Host::start_in(checkout, &[]).await;
    let status = host.status().await;
    assert_eq!(status.number("/build/warnings"), 0, "{}", host.log());
    assert_eq!(status.number("/reloads/ok"), 0);
    assert_eq!(status.0["last_reload"], Value::Null);

    let Some(browser) = Chromium::start().await else {
        return;
    };
    let name = "a".repeat(100);
    let form = [("name", name.as_str())];
    let created = host.client.post(host.url("/counters")).form(&form);
    assert_eq!(created.send().await.unwrap().status(), 200);
    browser.resize(390, 800).await;
    browser.open(&host.url("/")).await;
    let shown = format!("document.body.textContent.includes('{name}')");
    assert_eq!(browser.value(&shown).await, true);
    let wide = "document.documentElement.scrollWidth > innerWidth";
    assert_eq!(browser.value(wide).await, false);
    browser.screenshot("sample-phone").await;

    // Its templates and its style sheet are read while it runs.
    let checkout = &host.checkout;
    checkout.edit(
        "app_lib/static/style.css",
        "body {",
        "body { color: rgb(1, 2, 3);",
    );
    let style = "getComputedStyle(document.body).color === 'rgb(1, 2, 3)'";
    browser.until("the new style", style).await;
    let template = "app_lib/templates/index.html";
    checkout.edit(template, "New counter", "Another counter");
    let label = format!(
        "document.querySelector('label').textContent.startsWith('Another') && {shown} && {style}"
    );
    browser.until("the new template", &label).await;
    checkout.edit(template, "{%- endfor %}", "{%- end %}");
    let error =
        "document.body.textContent.includes('syntax error: unknown statement end (in index.html:')";
    browser.until("what is wrong with it", error).await;
    checkout.edit(template, "{%- end %}", "{%- endfor %}");
    browser.until("the page again", &label).await;
    assert_eq!(host.status().await.generation(), 1);

    browser.open(&host.url("/__dev/reloads")).await;
    let tile = |id: &str, text: &str| {
        format!("document.querySelector('#{id}').textContent.trim() === '{text}'")
    };
    browser
        .until("the dashboard", &tile("reloads", "0 ok"))
        .await;
    assert_eq!(browser.value(&tile("last-reload", "none")).await, true);
    assert_eq!(
        browser
            .value("document.querySelector('#reloads-note .bad')")
            .await,
        Value::Null
    );
    host.checkout.write_lab("no_such_thing");
    browser
        .until("the failure", &tile("reloads-note .bad", "1 failed"))
        .await;
    // No page has made the browser ask the app for an icon.
    let requests = host.status().await.0["requests"].to_string();
    assert!(!requests.contains("favicon"), "{requests}");
    browser.close().await;
}

//! The app's log: a logger that an app sets up is harmless, its lines are shown as `RUST_LOG` says, with the generation
//! and the request that they are from; and what browsers report of the app's pages.

use std::fs::File;

use serde_json::{Value, json};

use crate::support::{Checkout, Chromium, Host, eventually, lab};

/// Each generation does what `main` of a production app does once: `init` of tracing-subscriber ends in this call.
const LAB: &str = r#"
    tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::new()).unwrap();
    tracing::info!("set up VERSION");
    tracing::info!(target: "shop::orders", "ordered VERSION");
    tracing::debug!("in detail VERSION");
    Router::new()"#;

fn version(version: &str) -> String {
    LAB.replace("VERSION", version)
}

async fn until_logged(host: &Host, line: &str) {
    eventually(line, async || host.log().contains(line).then_some(())).await;
}

#[tokio::test]
async fn an_app_that_sets_up_its_log_is_reloaded_and_heard_as_rust_log_says() {
    let checkout = Checkout::new();
    checkout.add_lab(&version("one"));
    let host = Host::spawn_in(checkout, &[]).await;
    let started = host
        .until("the first start", |status| {
            ["active", "load_failed"].contains(&status.phase())
        })
        .await;
    assert_eq!(started.phase(), "active", "{}", started.0["build"]);
    until_logged(&host, "INFO app_lib::lab: set up one").await;
    until_logged(&host, "INFO shop::orders: ordered one").await;
    host.checkout.write_lab(&version("two"));
    host.until_generation(2).await;
    until_logged(&host, "INFO app_lib::lab: set up two").await;
    assert!(!host.log().contains("in detail"), "{}", host.log());

    host.checkout
        .write(".env", "RUST_LOG=warn,app_lib::lab=debug\n");
    host.until_generation(3).await;
    until_logged(&host, "DEBUG app_lib::lab: in detail two").await;
    let heard = host.log().matches("ordered two").count();
    assert_eq!(heard, 1, "only that of generation 2: {}", host.log());
    host.checkout.write(".env", "RUST_LOG=shop=loud\n");
    until_logged(&host, "WARN RUST_LOG: error parsing level filter").await;
}

/// What logs inside a request, beside it, and in a page. `/held` waits for a file `go`.
const SHOP: &str = r##"{
    async fn order() {
        tracing::warn!(left = 2, "short of stock");
        std::thread::spawn(|| tracing::info!("packed")).join().unwrap();
    }
    const PAGE: &str = r#"<!doctype html><html lang='en'><head><title>Shop</title>
        <script>early.bird()</script></head><body><main><h1>Shop</h1></main><script>
        Promise.reject(new TypeError('no answer'));
        console.error('cannot %s', 'pay', { cart: 3 });
        console.error({ toJSON() { console.error('deeper'); return 'told'; } });
        addEventListener('unhandledrejection', () => {
            for (let i = 0; i < 50; i++) console.error('again');
            for (let i = 0; i < 50; i++) console.error(`many ${i}`);
        });
        </script></body></html>"#;
    tracing::info!("opened");
    Router::new()
        .route("/order", get(order))
        .route("/held", get(async || { tracing::error!("held up"); gate("go").await; }))
        .route("/shop", get(async || Html(PAGE)))
}"##;

/// The messages on the page of logs, as a program gets them.
async fn messages(host: &Host, query: &str) -> Vec<String> {
    let lines = host.json(&format!("/__dev/logs.json?{query}")).await;
    let lines = lines.as_array().unwrap();
    let message = |line: &Value| line["message"].as_str().unwrap().to_owned();
    lines.iter().map(message).collect()
}

#[tokio::test]
async fn a_line_carries_its_generation_and_its_request() {
    let host = Host::with_built_lab(lab!(SHOP)).await;
    until_logged(&host, ": opened  gen 1\n").await;
    // As far as a request that does not end yet is concerned, too.
    let held = tokio::spawn(host.client.get(host.url("/held")).send());
    until_logged(&host, ": held up  gen 1 req 1\n").await;
    let order = host.get("/order").await;
    assert_eq!(order.headers()["x-request-id"], "2");
    until_logged(&host, ": short of stock left=2  gen 1 req 2\n").await;
    until_logged(&host, ": packed  gen 1\n").await;
    host.checkout.write("go", "");
    held.await.unwrap().unwrap();
    assert_eq!(
        host.json("/__dev/requests/1.json").await["request"]["path"],
        "/held"
    );

    let stock = "short of stock left=2";
    for (query, expected) in [
        ("from=app", &["packed", stock, "held up", "opened"][..]),
        ("from=app&level=warn&text=", &[stock, "held up"]),
        (
            "from=app&order=errors",
            &["held up", "packed", stock, "opened"],
        ),
        ("request=2&generation=", &[stock]),
        ("generation=1&text=APP_LIB&level=error", &["held up"]),
        ("generation=2", &[]),
    ] {
        assert_eq!(messages(&host, query).await, expected, "{query}");
    }
    let line = &host.json("/__dev/logs.json?request=2").await[0];
    assert_eq!(
        (&line["level"], &line["generation"], &line["from"]),
        (&json!("WARN"), &json!(1), &json!("app"))
    );
    let place = line["place"].as_str().unwrap();
    assert!(place.starts_with("app_lib/src/lab.rs:"), "{place}");
    let page = host.text("/__dev/logs?request=2").await;
    assert!(
        page.contains(stock)
            && page.contains("href=\"/__dev/requests/2\"")
            && !page.contains("held up"),
        "{page}"
    );
    assert_eq!(host.get("/__dev/logs?request=two").await.status(), 400);

    // What a page reports is text, and comes from a page of this origin.
    let report = async |site: &str| {
        let error = json!({
            "kind": "console", "path": "/shop", "message": "a \u{1b}[2Jclean screen", "file": "/shop", "line": 3,
            "column": 9, "stack": null, "generation": 1, "request": 2, "left_out": 4,
        });
        let sent = host.client.post(host.url("/__dev/errors")).json(&error);
        let sent = sent.header("sec-fetch-site", site).send().await;
        sent.unwrap().status().as_u16()
    };
    assert_eq!(report("cross-site").await, 403);
    assert_eq!(messages(&host, "from=browser").await, Vec::<String>::new());
    assert_eq!(report("same-origin").await, 204);
    until_logged(
        &host,
        "browser  /shop  a  [2Jclean screen  /shop:3:9  and 4 before it; the browser's console has them  gen 1 req 2",
    )
    .await;
    let line = &host.json("/__dev/logs.json?from=browser").await[0];
    assert_eq!(line["message"], "/shop  a  [2Jclean screen");
    assert_eq!(line["place"], "/shop:3:9");
    let mut statuses = Vec::new();
    for _ in 0..100 {
        statuses.push(report("same-origin").await);
    }
    assert_eq!(statuses.last(), Some(&429), "there is a limit");
}

#[tokio::test]
async fn errors_of_a_page_are_told_with_their_place_and_the_page_of_logs_is_live() {
    let Some(browser) = Chromium::start().await else {
        return;
    };
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(SHOP));
    let mut command = checkout.host();
    let log = File::create(checkout.path("host.log")).unwrap();
    command.args(["dev", "--port", "0", "--json"]);
    command.stdout(log.try_clone().unwrap()).stderr(log);
    let host = Host::spawn(checkout, command).await;
    host.until_generation(1).await;
    browser.open(&host.url("/shop?token=hunter2")).await;
    let told = || -> Vec<Value> {
        let log = host.log();
        let events = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        events
            .filter(|event: &Value| event["event"] == "browser_error")
            .collect()
    };
    let told = eventually("all that it tells", async || {
        Some(told()).filter(|told| told.len() >= 20)
    })
    .await;
    assert_eq!(told.len(), 20, "and no more at a time: {told:#?}");
    let told_of = |kind: &str| told.iter().find(|event| event["kind"] == kind).unwrap();
    let early = told_of("error");
    assert_eq!(
        early["text"].as_str().unwrap(),
        format!(
            "browser  /shop  Uncaught ReferenceError: early is not defined  /shop:2:{}  gen 1 req 1",
            early["column"]
        ),
    );
    let rejection = told_of("rejection");
    assert_eq!(
        rejection["message"],
        "Uncaught (in promise) TypeError: no answer"
    );
    assert_eq!(rejection["line"], 3);
    let said = |message: &str| {
        told.iter()
            .filter(|event| event["message"] == message)
            .count()
    };
    for (message, times) in [
        ("cannot pay {\"cart\":3}", 1),
        ("\"told\"", 1),
        ("deeper", 0),
        ("again", 1),
    ] {
        assert_eq!(said(message), times, "{message}: {told:#?}");
    }
    let all = Value::from(told.clone()).to_string();
    assert!(
        !all.contains("hunter2") && !all.contains("errors.js"),
        "{all}"
    );

    browser.complaints().await;
    for (width, scheme) in [(1280, "light"), (390, "dark")] {
        let url = host.url("/__dev/logs");
        browser
            .inspect(&url, width, scheme, &format!("logs-{width}-{scheme}"))
            .await;
    }
    browser
        .value("document.querySelector('#lines details').open = true")
        .await;
    let order = host.get("/order").await;
    let id = order.headers()["x-request-id"].to_str().unwrap();
    browser
        .until(
            "the new line, and the others as they were",
            &format!(
                "document.querySelector('#lines').textContent.includes('short of stock') \
                 && document.querySelector('#lines a[href=\"/__dev/requests/{id}\"]') \
                 && document.querySelector('#lines details').open"
            ),
        )
        .await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

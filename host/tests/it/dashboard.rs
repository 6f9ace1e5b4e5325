//! The tabs of the dashboard: each has an address, and follows what happens. `readers` looks at them.

use crate::support::{Chromium, Host, lab};

/// Each with a part of it.
const TABS: [(&str, &str, &str); 7] = [
    ("", "Overview", "#phase:not(:empty)"),
    ("/requests", "Requests", "#requests tr[data-key]"),
    ("/database", "Database", "#activity td.n"),
    ("/reloads", "Reloads", "#generations td.n"),
    ("/leak", "Leak laboratory", "#chart text"),
    ("/settings", "Settings", "#environment td.text"),
    ("/logs", "Logs", "#count:not(:empty)"),
];

#[tokio::test]
async fn each_tab_has_an_address_and_follows_what_happens() {
    let Some(browser) = Chromium::start().await else {
        return;
    };
    let host = Host::with_built_lab(lab!(
        r#"Router::new()
            .route("/orders", get(async |State(state): State<AppState>| {
                for id in 0..5_i64 {
                    state.db.query("SELECT $1::int8 AS order_by_id", &[&id]).await.unwrap();
                }
            }))
            .route("/orders/{id}", get(async || "one"))
            .route("/other", get(async || "other"))"#
    ))
    .await;
    host.get("/orders").await;
    host.get("/orders/1").await;
    let current = "document.querySelector('nav[aria-label] [aria-current=page]').textContent";
    for (path, name, part) in TABS {
        browser.open(&host.url(&format!("/__dev{path}"))).await;
        let drawn = format!("document.querySelector('{part}') && {current} === '{name}'");
        browser.until(name, &drawn).await;
    }

    // From one to another, which a reload keeps.
    browser.resize(1280, 800).await;
    browser.prefer("light").await;
    browser.open(&host.url("/__dev")).await;
    let warned = "document.querySelector('#warnings a')?.textContent === 'GET /orders: N+1'";
    browser.until("what is worth a look", warned).await;
    browser.screenshot("overview").await;
    browser.click("nav [href=\"/__dev/reloads\"]").await;
    let there = format!("location.pathname === '/__dev/reloads' && {current} === 'Reloads'");
    browser.until("the other tab", &there).await;
    browser.client.refresh().await.unwrap();
    let (_, _, part) = TABS[3];
    let drawn = format!("{there} && document.querySelector('{part}')");
    browser.until("the same tab", &drawn).await;

    // What is new comes by itself, if it is asked for.
    browser
        .open(&host.url("/__dev/requests?path=%2Forders"))
        .await;
    let rows = |count: usize| {
        format!("document.querySelectorAll('#requests tr[data-key]').length === {count}")
    };
    browser.until("those so far", &rows(2)).await;
    browser
        .value("(globalThis.kept = true, document.querySelector('#requests a').focus())")
        .await;
    host.get("/other").await;
    host.get("/orders/2").await;
    let newest = format!(
        "{} && globalThis.kept && document.querySelector('#requests a').textContent === 'GET /orders/2' \
         && document.activeElement.textContent === 'GET /orders/1'",
        rows(3)
    );
    browser.until("the newest, alone", &newest).await;
    browser.click("#requests a").await;
    let one = format!(
        "document.querySelector('h1').textContent === 'GET /orders/2' && {current} === 'Requests'"
    );
    browser.until("all that it did", &one).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

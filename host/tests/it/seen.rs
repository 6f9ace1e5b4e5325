//! What a user sees, through a real browser: the app's page over a save, the overlay, the host's pages, the dashboard.
//!
//! Screenshots are kept in `target/tmp/screenshots`; `host/docs` shows some of them.

use fantoccini::key::Key;

use crate::support::{Checkout, Chromium, Host, lab};

/// In the overlay, which keeps to itself under the page.
const OVERLAY: &str =
    "document.documentElement.lastElementChild.shadowRoot?.querySelector('dialog')";

fn page(heading: &str) -> String {
    let html = format!(
        "<!doctype html><html lang='en'><meta name='viewport' content='width=device-width'><title>Lab</title>\
         <body><main><h1>{heading}</h1><p style='height:3000px'>tall</p></main></body></html>"
    );
    format!(
        r#"Router::new()
            .route("/lab", get(async || Html("{html}")))
            .route("/panic", get(async || -> &'static str {{ panic!("a <b>bold</b> claim") }}))"#
    )
}

async fn has_no_faults(browser: &Chromium, what: &str) {
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        let faults = browser.accessibility_faults().await;
        assert!(faults.is_empty(), "{what}, {scheme}: {faults:#?}");
        browser.screenshot(&format!("{what}-{scheme}")).await;
    }
}

#[tokio::test]
async fn a_page_follows_a_save_and_explains_a_broken_one() {
    let Some(browser) = Chromium::start().await else {
        return;
    };
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(page("One")));
    let editor = ("EDITOR_URL", "vscode://file/{file}:{line}:{column}");
    let host = Host::start_in(checkout, &[editor]).await;
    browser.open(&host.url("/lab")).await;
    assert_eq!(
        browser
            .value("document.querySelector('h1').textContent")
            .await,
        "One"
    );
    browser.value("scrollTo(0, 700)").await;

    host.checkout.write_lab(&page("Two"));
    browser
        .until(
            "the new page, at its place",
            "document.querySelector('h1').textContent === 'Two' && scrollY === 700",
        )
        .await;

    host.checkout
        .write_lab(&page("Three").replace("Html(", "Html(heading + "));
    browser
        .until(
            "the overlay",
            &format!(
                "{OVERLAY}?.textContent.includes('cannot find value `heading` in this scope')"
            ),
        )
        .await;
    let link = browser
        .value(&format!("{OVERLAY}.querySelector('a').href"))
        .await;
    let file = host.checkout.path("app_lib/src/lab.rs");
    let link = link.as_str().unwrap();
    assert!(
        link.starts_with(&format!("vscode://file/{}:8:", file.display())),
        "{link}"
    );
    let coloured = browser
        .value(&format!("{OVERLAY}.querySelectorAll('.bold').length"))
        .await;
    assert!(coloured.as_u64().unwrap() > 0);
    browser.value("scrollTo(0, 0)").await;
    has_no_faults(&browser, "overlay").await;

    browser.press(Key::Escape).await;
    browser.until("no overlay", &format!("!{OVERLAY}")).await;
    host.checkout
        .write_lab(&page("Three").replace("get(", "git("));
    browser
        .until(
            "another overlay",
            &format!("{OVERLAY}?.textContent.includes('git')"),
        )
        .await;
    host.checkout.write_lab(&page("Three"));
    browser
        .until(
            "the fixed page",
            &format!("document.querySelector('h1').textContent === 'Three' && !{OVERLAY}"),
        )
        .await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

/// As a tab in the background, or again in front.
async fn hide(browser: &Chromium, hidden: bool) {
    let hide = format!(
        "(Object.defineProperty(document, 'hidden', {{ configurable: true, value: {hidden} }}), \
         document.dispatchEvent(new Event('visibilitychange')))"
    );
    browser.value(&hide).await;
}

#[tokio::test]
async fn a_tab_in_the_background_holds_no_stream_and_catches_up() {
    let Some(browser) = Chromium::start().await else {
        return;
    };
    let host = Host::with_built_lab(lab!(page("One"))).await;
    browser.open(&host.url("/lab")).await;
    hide(&browser, true).await;
    host.checkout.write_lab(&page("Two"));
    host.until_generation(2).await;
    host.checkout.write_lab("no_such_thing");
    host.until("the failed build", |status| {
        status.phase() == "build_failed"
    })
    .await;
    let seen = format!("document.querySelector('h1').textContent === 'One' && !{OVERLAY}");
    assert_eq!(browser.value(&seen).await, true, "it follows nothing");
    hide(&browser, false).await;
    browser.until("the overlay", OVERLAY).await;
    hide(&browser, true).await;
    host.checkout.write_lab(&page("Three"));
    host.until_generation(3).await;
    hide(&browser, false).await;
    browser
        .until(
            "the new page",
            &format!("document.querySelector('h1').textContent === 'Three' && !{OVERLAY}"),
        )
        .await;

    browser.open(&host.url("/__dev")).await;
    let shown = |generation: u64| {
        format!("document.querySelector('#generation').textContent === '{generation}'")
    };
    browser.until("the dashboard", &shown(3)).await;
    hide(&browser, true).await;
    host.checkout.write_lab(&page("Four"));
    host.until_generation(4).await;
    assert_eq!(browser.value(&shown(3)).await, true, "it follows nothing");
    hide(&browser, false).await;
    browser.until("the dashboard to catch up", &shown(4)).await;
    browser.close().await;
}

#[tokio::test]
async fn panics_and_pending_migrations_are_pages() {
    let Some(browser) = Chromium::start().await else {
        return;
    };
    let checkout = Checkout::new();
    checkout.add_lab(&page("One"));
    let host = Host::start_in(checkout, &[("HOST_MIGRATE", "ask")]).await;
    // A fresh database lacks everything. The button is a form: it takes no script.
    browser.open(&host.url("/lab")).await;
    browser
        .until(
            "the pending files",
            "document.body.textContent.includes('migrations/V2__create_increment.sql')",
        )
        .await;
    has_no_faults(&browser, "pending").await;
    browser.click("main button").await;
    browser
        .until(
            "the app's page",
            "document.querySelector('h1').textContent === 'One'",
        )
        .await;

    // A page that is open learns of a new file by itself.
    host.checkout.write(
        "migrations/V3__colour.sql",
        "ALTER TABLE counter ADD colour text;\nSELEC 1;\n",
    );
    browser
        .until(
            "the next pending file",
            "document.body.textContent.includes('V3__colour')",
        )
        .await;
    browser.click("main button").await;
    browser
        .until("why it failed", "document.querySelector('h1').textContent === 'A migration failed' && document.body.textContent.includes('migrations/V3__colour.sql:2')")
        .await;
    browser.screenshot("failed-migration").await;
    host.checkout.write(
        "migrations/V3__colour.sql",
        "ALTER TABLE counter ADD colour text;\n",
    );
    browser
        .until(
            "the fixed file, pending",
            "document.querySelector('h1').textContent === 'Migrations are pending'",
        )
        .await;
    browser.click("main button").await;
    browser
        .until(
            "the app's page",
            "document.querySelector('h1').textContent === 'One'",
        )
        .await;

    browser.open(&host.url("/panic")).await;
    assert_eq!(
        browser
            .value("document.querySelector('h1').textContent")
            .await,
        "a <b>bold</b> claim"
    );
    let marked = browser
        .value("document.querySelector('mark').textContent")
        .await;
    assert!(marked.as_str().unwrap().contains("panic!("), "{marked}");
    has_no_faults(&browser, "panic").await;
    host.checkout
        .write_lab(&page("Two").replace("a <b>bold</b> claim", "another claim"));
    browser
        .until(
            "the newer panic",
            "document.querySelector('h1').textContent === 'another claim'",
        )
        .await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn the_dashboard_shows_the_leak_grow_and_cures_it() {
    let Some(browser) = Chromium::start().await else {
        return;
    };
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(page("One")));
    let host = Host::start_in(checkout, &[("HOST_POOL", "app"), ("HOST_ISOLATION", "off")]).await;
    browser.open(&host.url("/__dev/leak")).await;
    host.backend().await;
    for generation in 2..=5_u64 {
        host.checkout
            .write_lab(&page(&format!("Number {generation}")));
        host.until_generation(generation).await;
        host.backend().await;
        let shown = format!(
            "/^{} reloads?, {generation} backends now/.test(document.querySelector('#chart').ariaLabel)",
            generation - 1
        );
        browser.until("the dashboard to follow", &shown).await;
    }
    let rows = "document.querySelectorAll('#activity tbody button').length";
    browser
        .until("the backends by name", &format!("{rows} >= 5"))
        .await;
    let chart = browser
        .value("document.querySelector('#chart').textContent")
        .await;
    assert!(chart.as_str().unwrap().contains("16"), "the limit: {chart}");
    has_no_faults(&browser, "leak").await;
    browser.resize(360, 800).await;
    let wide = browser
        .value("document.documentElement.scrollWidth - innerWidth")
        .await;
    assert!(wide.as_i64().unwrap() <= 0, "wider than a phone by {wide}");
    browser.screenshot("leak-phone").await;
    browser.resize(1100, 900).await;

    // One of them is ended by its button.
    let before = host.status().await.number("/db/backends");
    browser
        .value("[...document.querySelectorAll('#activity tbody tr')].find(row => row.textContent.includes(':gen-2')).querySelector('button').click()")
        .await;
    host.until("one backend less", |status| {
        status.number("/db/backends") == before - 1
    })
    .await;

    // The cure: the same host with the switches as they should be. The page comes back by itself.
    browser.click("input[name=pool][value=host]").await;
    browser.click("input[name=isolation][value=on]").await;
    browser.click("#switch").await;
    host.until("the other mode", |status| {
        status.0["pool_owner"] == "host" && status.phase() == "active"
    })
    .await;
    host.backend().await;
    browser
        .until("the page of the next host", "document.querySelector('input[name=pool][value=host]')?.checked && document.querySelector('#chart').ariaLabel.includes(', 1 backends now')")
        .await;
    browser.open(&host.url("/__dev")).await;
    host.checkout.write_lab("no_such_thing");
    browser
        .until(
            "the diagnostics",
            "document.querySelector('#diagnostics')?.textContent.includes('no_such_thing')",
        )
        .await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

/// Stops the host, and starts the next one in its checkout and on its port.
pub(crate) async fn next_after(host: Host, between: impl FnOnce(&Checkout)) -> Host {
    let base = host.base.clone();
    let (_, checkout) = host.stop().await;
    between(&checkout);
    let mut again = checkout.host();
    let port = base.rsplit(':').next().unwrap();
    again.args(["dev", "--port", port]);
    let log = std::fs::File::create(checkout.path("host.log")).unwrap();
    again.stdout(log.try_clone().unwrap()).stderr(log);
    Host::spawn(checkout, again).await
}

#[tokio::test]
async fn a_page_of_the_host_before_follows_the_next_one_on_the_same_port() {
    let Some(browser) = Chromium::start().await else {
        return;
    };
    let heading = |is: &str| format!("document.querySelector('h1')?.textContent === '{is}'");
    let host = Host::with_built_lab(lab!(page("Before"))).await;
    browser.open(&host.url("/lab")).await;
    browser.until("the first page", &heading("Before")).await;
    let host = next_after(host, |checkout| checkout.write_lab(&page("After"))).await;
    assert_eq!(host.until_generation(1).await.generation(), 1);
    browser
        .until("the page of the next host", &heading("After"))
        .await;
    browser.close().await;
}

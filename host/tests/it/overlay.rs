//! The overlay over a page whose last save did not compile, in a real browser.

use fantoccini::key::Key;

use crate::support::{Checkout, Chromium, Host, lab};

const DIALOG: &str =
    "document.documentElement.lastElementChild.shadowRoot?.querySelector('dialog')";

/// A page with a strict policy and a field, and the statements of another handler.
fn lab(statements: &str) -> String {
    let html = "<!doctype html><html lang='en'><meta name='viewport' content='width=device-width'><title>Lab</title>\
         <body><main><h1>Lab</h1><label>Name <input id='field'></label></main></body></html>";
    format!(
        r#"Router::new()
            .route("/lab", get(async || ([("content-security-policy", "default-src 'self'")], Html("{html}"))))
            .route("/other", get(async || {{ {statements} "other" }}))"#
    )
}

async fn closed_by(browser: &Chromium, how: &str) {
    browser
        .until(
            &format!("no overlay after {how}, and the focus back in the field"),
            &format!("!{DIALOG} && document.activeElement.id === 'field'"),
        )
        .await;
}

#[tokio::test]
async fn the_overlay_counts_its_errors_and_can_be_closed() {
    let Some(browser) = Chromium::start().await else {
        return;
    };
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(lab("")));
    let editor = ("EDITOR_URL", "vscode://file/{file}:{line}:{column}");
    let host = Host::start_in(checkout, &[editor]).await;
    browser.resize(390, 844).await;
    browser.open(&host.url("/lab")).await;
    browser
        .value("document.querySelector('#field').focus()")
        .await;

    let broken = lab(&format!(
        "first_missing(); second_missing(); let {} = third_missing();",
        "a_long_name_".repeat(12)
    ));
    host.checkout.write_lab(&broken);
    let shows = |text: &str| {
        format!(
            "{DIALOG}?.textContent.includes('{}')",
            text.replace('\'', "\\'")
        )
    };
    let headline = "3 errors: your last save did not compile";
    browser.until("the overlay", &shows(headline)).await;
    for text in [
        "Error 1 of 3",
        "Error 3 of 3",
        "Still serving generation 1. Fix and save, or press Esc to hide.",
    ] {
        assert_eq!(browser.value(&shows(text)).await, true, "{text}");
    }
    let each_place_once = format!(
        "new Set([...{DIALOG}.querySelectorAll('a')].map(link => link.href)).size === 3 \
         && {DIALOG}.textContent.match(/lab.rs:/g).length === 3"
    );
    assert_eq!(browser.value(&each_place_once).await, true);
    // Styled, though the page's policy allows no inline style; wide code scrolls within its frame.
    let looks = format!(
        "getComputedStyle({DIALOG}).backgroundColor + [...{DIALOG}.querySelectorAll('pre')].some(code => \
         getComputedStyle(code).whiteSpace === 'pre' && code.scrollWidth > code.clientWidth)"
    );
    assert_eq!(browser.value(&looks).await, "rgb(22, 24, 29)true");
    let wide =
        format!("{DIALOG}.scrollWidth > innerWidth || document.body.scrollWidth > innerWidth");
    assert_eq!(browser.value(&wide).await, false);
    let faults = browser.accessibility_faults().await;
    assert!(faults.is_empty(), "{faults:#?}");
    browser.screenshot("overlay-phone").await;

    for _ in 0..8 {
        browser.press(Key::Tab).await;
        let behind = browser.value("document.activeElement.id === 'field'").await;
        assert_eq!(behind, false, "the page behind takes no focus");
    }
    browser
        .value(&format!("{DIALOG}.querySelector('button').click()"))
        .await;
    closed_by(&browser, "Close").await;
    host.checkout.write_lab(&lab("fourth_missing();"));
    browser
        .until("the next overlay", &shows("1 error: your last save"))
        .await;
    browser.press(Key::Escape).await;
    closed_by(&browser, "Esc").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn of_two_thousand_errors_twenty_are_shown() {
    let host = Host::with_built_lab(lab!(lab(""))).await;
    let calls: String = (0..2000).map(|n| format!("missing_{n}(); ")).collect();
    host.checkout.write_lab(&lab(&calls));
    let status = host
        .until("the failed build", |status| {
            status.phase() == "build_failed"
        })
        .await;
    assert_eq!(status.number("/build/errors"), 2000);
    let shown = status.0["build"]["diagnostics"].as_array().unwrap();
    assert_eq!(shown.len(), 20);
    let log = crate::support::eventually("the outcome in the log", async || {
        let log = host.log();
        log.contains("✗ not built").then_some(log)
    })
    .await;
    assert!(log.contains("and 1,980 more"), "{log}");
    assert_eq!(log.matches("cannot find function").count(), 20);

    let Some(browser) = Chromium::start().await else {
        return;
    };
    browser.open(&host.url("/lab")).await;
    let shows = format!(
        "{DIALOG}?.textContent.includes('2,000 errors') && {DIALOG}.textContent.includes('and 1,980 more') \
         && {DIALOG}.querySelectorAll('pre').length === 20"
    );
    browser.until("the overlay", &shows).await;
    browser.open(&host.url("/__dev")).await;
    browser
        .until(
            "the dashboard",
            "document.querySelector('#diagnostics')?.textContent.endsWith('and 1,980 more')",
        )
        .await;
    browser.close().await;
}

#[tokio::test]
async fn an_app_that_does_not_start_is_explained_and_comes_up_by_itself() {
    let Some(browser) = Chromium::start().await else {
        return;
    };
    let checkout = Checkout::new();
    checkout.add_lab("no_such_thing");
    let host = Host::spawn_in(checkout, &[]).await;
    let failed = |phase: &'static str| host.until(phase, move |status| status.phase() == phase);
    failed("build_failed").await;
    browser.open(&host.url("/lab")).await;
    let shows = |text: &str| format!("{DIALOG}?.textContent.includes('{text}')");
    for text in [
        "1 error: your last save did not compile",
        "Nothing to serve yet. Fix and save",
    ] {
        browser.until(text, &shows(text)).await;
    }
    browser
        .value(&format!("{DIALOG}.querySelector('button').click()"))
        .await;
    for (width, scheme) in [(1280, "light"), (390, "dark")] {
        browser.resize(width, 800).await;
        browser.prefer(scheme).await;
        let faults = browser.accessibility_faults().await;
        assert!(faults.is_empty(), "{width}, {scheme}: {faults:#?}");
        browser.screenshot(&format!("absent-{width}")).await;
    }
    let page = "document.querySelector('h1').textContent === 'The app is not running' \
        && document.body.textContent.includes('Shown by the dev server')";
    assert_eq!(browser.value(page).await, true);

    host.checkout.write_lab("panic!(\"not today\")");
    failed("load_failed").await;
    browser
        .until("why it failed", &shows("The app failed to start"))
        .await;
    assert_eq!(browser.value(&shows("not today")).await, true);
    browser.screenshot("overlay-refused").await;
    host.checkout.write_lab(&lab(""));
    browser
        .until("the app's page", "document.querySelector('#field')")
        .await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

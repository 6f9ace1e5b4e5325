//! The app's tests after each save: what came of them, where it is shown, and what they must not disturb.

use std::{env, fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::{Value, json};

use crate::{
    support::{Checkout, Chromium, Host, Status, eventually},
    web::{act, token},
};

/// In place of the sample's own.
const TESTS: &str = "app_lib/src/tests.rs";

fn says(word: &str) -> String {
    format!(
        "Router::new().route(\"/word\", get(async || Html(\"<!doctype html><title>{word}</title><body>{word}\")))"
    )
}

const FINE: &str = "#[test] fn adds() { assert_eq!(1 + 1, 2); } #[test] fn is_fine() {}";
const WRONG: &str = "#[test] fn adds() { assert_eq!(1 + 1, 3, \"sums\"); } #[test] fn is_fine() {}";

impl Host {
    /// The last result of the tests, once it is like this.
    async fn tested(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let of = |status: &Status| status.0["tests"]["last"].clone();
        let status = self.until(what, |status| wanted(&of(status))).await;
        of(&status)
    }
}

/// A checkout whose tests are built with what this run has built already: their dependencies. Only one may be at work: its
/// programs have the names of every other's.
fn checkout() -> (Checkout, String) {
    let checkout = Checkout::new();
    checkout.add_lab(&says("one"));
    checkout.write(TESTS, FINE);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let path = env::var("PATH").unwrap();
    let found = env::split_paths(&path).map(|folder| folder.join("cargo"));
    let cargo = found.into_iter().find(|file| file.is_file()).unwrap();
    let (cargo, target) = (cargo.display(), target.display());
    checkout.write(
        "cargo",
        &format!("#!/bin/sh\ncase $1 in test) set -- \"$@\" --target-dir '{target}';; esac\nexec '{cargo}' \"$@\"\n"),
    );
    let may_run = fs::Permissions::from_mode(0o755);
    fs::set_permissions(checkout.path("cargo"), may_run).unwrap();
    let path = format!("{}:{path}", checkout.path("").display());
    (checkout, path)
}

#[tokio::test]
async fn after_a_save_the_tests_run_and_every_place_shows_what_came_of_them_until_the_next() {
    let (checkout, path) = checkout();
    let host = Host::start_in(checkout, &[("HOST_TEST", "on"), ("PATH", &path)]).await;
    let first = host.tested("a result", |it| it["passed"] == 2).await;
    assert_eq!(first["failed"], json!([]), "{first}");
    assert_eq!(first["error"], Value::Null, "{first}");

    // No code of the app has changed, but a test has.
    host.checkout.write(TESTS, WRONG);
    let second = host.tested("a failure", |it| it["passed"] == 1).await;
    let failed = &second["failed"][0];
    assert_eq!(failed["name"], "tests::adds");
    assert!(
        failed["output"].as_str().unwrap().contains("sums"),
        "{second}"
    );
    let words = "1 of 2 failed";
    eventually("the terminal to tell", async || {
        let told = host.log();
        let all = told.contains(&format!("✗ tests: {words} in ")) && told.contains("sums");
        all.then_some(())
    })
    .await;
    if let Some(browser) = Chromium::start().await {
        browser.open(&host.url("/word")).await;
        let bar = "document.querySelector('html > div:last-of-type')?.shadowRoot?.querySelector('[data-tests]')?.textContent";
        browser
            .until(
                "the result in the bar",
                &format!("{bar} === 'tests: {words}'"),
            )
            .await;
        browser.open(&host.url("/__dev/reloads")).await;
        let card = "document.getElementById('tests')?.textContent";
        let shown = format!("{card}.includes('{words}') && {card}.includes('sums')");
        browser.until("the failure on the dashboard", &shown).await;
        browser.close().await;
    }

    // A test that does not compile is reported in the compiler's words.
    host.checkout
        .write(TESTS, "#[test] fn adds() { no_such_thing(); }");
    let third = host.tested("an error", |it| !it["error"].is_null()).await;
    assert!(
        third["error"].as_str().unwrap().contains("no_such_thing"),
        "{third}"
    );

    // A save ends the tests of before it.
    let waits = "#[test] fn waits() {
        std::fs::write(\"../waiting\", \"\").unwrap();
        while !std::path::Path::new(\"../go-on\").exists() { std::thread::sleep(std::time::Duration::from_millis(5)) }
    }";
    host.checkout.write(TESTS, waits);
    let waiting = host.checkout.path("waiting");
    eventually("the test to wait", async || waiting.exists().then_some(())).await;
    host.checkout.write(TESTS, FINE);
    host.checkout.write_lab(&says("two"));
    let of = |generation: u64| move |it: &Value| it["generation"] == generation;
    let second = host.tested("the next tests", of(2)).await;
    assert_eq!(
        (&second["passed"], &second["failed"]),
        (&json!(2), &json!([])),
        "{second}"
    );
    let results = async |count: usize| {
        eventually("the terminal to tell", async || {
            (host.log().matches("tests: ").count() == count).then_some(())
        })
        .await;
    };
    results(4).await;

    let token = token(&host).await;
    let switch = async || act(&host, "tests", "", &[("x-dev-token", &token)]).await.0;
    assert_eq!(switch().await, 200);
    host.until("tests to be off", |status| status.0["tests"]["on"] == false)
        .await;
    host.checkout.write(TESTS, WRONG);
    host.checkout.write_lab(&says("three"));
    host.until_generation(3).await;
    // What was not tested is tested once that is wanted again.
    assert_eq!(switch().await, 200);
    let third = host.tested("tests when they are on again", of(3)).await;
    assert_eq!(third["failed"][0]["name"], "tests::adds");
    results(5).await;
}

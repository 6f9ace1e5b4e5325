//! Every page of the dashboard, the bar and the overlay with much in them, for every reader: on a phone and on a desk, in
//! light and in dark, without seeing or without a mouse. One host and one browser for all.
//!
//! `just screenshots` takes some of the pictures into `host/docs`.

use std::{env, fs, os::unix::fs::PermissionsExt};

use crate::support::{Checkout, Chromium, Host, Lab, lab};

/// What a failed run of the tests looks like: the real one would have to be built.
const TESTED: &str = "running 2 tests
test orders::an_order_is_added ... ok
test orders::stock_is_never_below_zero_even_when_two_orders_come_at_the_same_moment ... FAILED

failures:

---- orders::stock_is_never_below_zero_even_when_two_orders_come_at_the_same_moment stdout ----

thread 'orders::stock_is_never_below_zero' panicked at app_lib/src/tests.rs:40:5:
assertion `left == right` failed: {\"left\":-2,\"orders\":[{\"id\":1,\"amount\":3},{\"id\":2,\"amount\":4},{\"id\":3,\"amount\":5}]}
  left: -2
 right: 0

failures:
    orders::stock_is_never_below_zero_even_when_two_orders_come_at_the_same_moment

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.12s
";

fn shop() -> Lab {
    lab!(
        r#"{
        async fn orders(State(state): State<AppState>) -> std::result::Result<Json<usize>, String> {
            let sql = "SELECT id, name FROM counter WHERE count < $1 ORDER BY id LIMIT 6";
            let counters = state.db.query(sql, &[&100]).await.map_err(|error| error.to_string())?;
            for counter in &counters {
                let sql = "SELECT sum(amount) AS ordered, max(created_at) AS last FROM increment WHERE counter_id = $1";
                state.db.query_one(sql, &[&counter.get::<_, i64>(0)]).await.map_err(|error| error.to_string())?;
            }
            tracing::warn!(target: "shop::orders", left = 2, wanted = 5, "short of stock");
            Ok(Json(counters.len()))
        }
        async fn page(State(state): State<AppState>) -> Html<&'static str> {
            for amount in 1..5 {
                state.db.query("SELECT id FROM increment WHERE amount = $1", &[&amount]).await.unwrap();
            }
            Html("<!doctype html><html lang='en'><meta name='viewport' content='width=device-width'><title>Shop</title>\
                <body><main><h1>Shop</h1><p>Tea and coffee</p></main><script>total.toFixed(2)</script></body></html>")
        }
        async fn bill(State(state): State<AppState>) -> std::result::Result<(), (StatusCode, String)> {
            let sql = "SELECT name, price FROM counter JOIN increment ON increment.counter_id = counter.id";
            state.db.query(sql, &[]).await.map_err(|error| {
                tracing::error!(target: "shop::bills", %error, "no bill for order 7");
                (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            })?;
            Ok(())
        }
        tracing::info!("shop open\nwith a second line of the message, which is long enough to be wider than any phone that is sold today");
        Router::new()
            .route("/shop", get(page))
            .route("/orders", get(orders).post(async |body: String| { tracing::info!(target: "shop::orders", "ordered"); body }))
            .route("/orders/{id}/bill", get(bill))
        }"#
    )
}

/// Its `cargo test` only says that it failed.
fn checkout() -> (Checkout, String) {
    let checkout = Checkout::new();
    checkout.add_built_lab(shop());
    checkout.write("tested", TESTED);
    let path = env::var("PATH").unwrap();
    let cargo = env::split_paths(&path).map(|folder| folder.join("cargo"));
    let cargo = cargo.into_iter().find(|file| file.is_file()).unwrap();
    checkout.write(
        "cargo",
        &format!(
            "#!/bin/sh\ncase $1 in test) cat '{}'; exit 101;; esac\nexec '{}' \"$@\"\n",
            checkout.path("tested").display(),
            cargo.display()
        ),
    );
    fs::set_permissions(checkout.path("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{path}", checkout.path("").display());
    (checkout, path)
}

/// For the console, in quotes of JavaScript.
const STATEMENT: &str = "SELECT name, count, count(*) AS orders, max(amount) AS most\\n\
    FROM counter JOIN increment ON counter_id = counter.id\\n\
    WHERE name LIKE \\'Tea%\\'\\nGROUP BY counter.id\\nORDER BY count DESC";

/// With something on every page. Returns the number of the request with N+1.
async fn fill(host: &Host) -> u64 {
    let observer = host.observe().await;
    let rows = "INSERT INTO counter (name, count)
            SELECT (ARRAY['Tea', 'Coffee', 'Cocoa', 'Lemonade'])[1 + i % 4] || ' ' || i, 7 * i % 30 FROM generate_series(1, 60) i;
        INSERT INTO counter (name, count) VALUES (repeat('one-long-word', 20), 1000);
        INSERT INTO increment (counter_id, amount) SELECT id, i FROM counter, generate_series(1, 1 + count / 7 % 5) i;
        COMMENT ON TABLE counter IS 'What is sold, and how often'; ANALYZE";
    observer.batch_execute(rows).await.unwrap();
    ask(host).await
}

/// Requests of all kinds. Returns the number of the one with N+1.
async fn ask(host: &Host) -> u64 {
    let order = host.url("/orders?from=shop&campaign=autumn");
    let order = host.client.post(order);
    let order = order.header("content-type", "application/json");
    let body = format!("{{\"name\":\"tea\",\"note\":\"{}\"}}", "long".repeat(80));
    order.body(body).send().await.unwrap();
    for path in [
        "/orders/7/bill",
        "/no-such-page-in-this-shop-or-in-any-other",
    ] {
        host.get(path).await;
    }
    let answer = host.get("/orders").await;
    let id = answer.headers()["x-request-id"].to_str().unwrap();
    id.parse().unwrap()
}

/// What is wrong at both widths and in both schemes with the page as it is.
async fn faults(browser: &Chromium, name: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for width in [1280, 390] {
        for scheme in ["light", "dark"] {
            browser.resize(width, 800).await;
            browser.prefer(scheme).await;
            faults.extend(browser.faults(name, width, scheme).await);
            let picture = format!("{name}-{width}-{scheme}");
            browser.screenshot(&picture).await;
        }
    }
    faults
}

#[tokio::test]
async fn every_page_is_for_every_reader_with_much_in_it() {
    let Some(browser) = Chromium::start().await else {
        return;
    };
    let (checkout, path) = checkout();
    let editor = ("EDITOR_URL", "vscode://file/{file}:{line}:{column}");
    let environment = [("HOST_TEST", "on"), ("PATH", &*path), editor];
    let host = Host::start_in(checkout, &environment).await;
    let traced = fill(&host).await;
    let mut found = Vec::new();
    host.until("the failed tests", |status| {
        status.0["tests"]["last"]["failed"][0]["output"].is_string()
    })
    .await;

    browser.open(&host.url("/shop")).await;
    let bar = "document.documentElement.lastElementChild.shadowRoot?.querySelector('[data-tests]')";
    browser.until("the bar", bar).await;
    found.extend(faults(&browser, "shop-bar").await);
    host.until("the error in the page", |status| status.number("/log") > 0)
        .await;

    let broken = (shop().0)().replace("Ok(Json(counters.len()))", "Ok(Json(counters.length()))");
    host.checkout.write_lab(&broken);
    let overlay = "document.documentElement.lastElementChild.shadowRoot?.querySelector('dialog')";
    browser.until("the overlay", overlay).await;
    found.extend(faults(&browser, "shop-overlay").await);

    let pages = [
        ("overview", "", "#diagnostics:not(:empty)"),
        ("requests", "/requests", "#requests tr[data-key]"),
        ("request", &format!("/requests/{traced}"), ".finding"),
        ("logs", "/logs", "#lines li b.bad"),
        ("database", "/database", "#activity td.n"),
        ("tables", "/database/tables", "td a"),
        ("table", "/database/tables/public.counter", ".rows td"),
        ("sql", "/database/sql", "#sql"),
        ("reloads", "/reloads", "#failed-tests:not(:empty)"),
        ("leak", "/leak", "#chart text"),
        ("settings", "/settings", "#environment td.text"),
    ];
    for (name, path, part) in pages {
        browser.resize(1280, 800).await;
        browser.open(&host.url(&format!("/__dev{path}"))).await;
        let drawn =
            format!("!document.querySelector('main').hidden && document.querySelector('{part}')");
        browser.until(name, &drawn).await;
        found.extend(faults(&browser, &format!("page-{name}")).await);
    }

    // What a form leads to.
    let forms = [
        (
            "sql-rows",
            "/database/sql",
            "SELECT * FROM counter ORDER BY count DESC",
        ),
        (
            "sql-error",
            "/database/sql",
            "SELECT name,\\n  prize FROM counter",
        ),
        ("again", &format!("/requests/{traced}"), ""),
        ("explain", &format!("/requests/{traced}"), ""),
    ];
    for (name, path, statement) in forms {
        browser.resize(1280, 800).await;
        browser.open(&host.url(&format!("/__dev{path}"))).await;
        let (send, shown) = match name {
            "again" => (
                "document.querySelector('form[action$=again]').requestSubmit()".to_owned(),
                "ins, td",
            ),
            "explain" => (
                "document.querySelector('form[action*=explain]').requestSubmit()".to_owned(),
                "pre.source",
            ),
            _ => (
                format!("(sql.value = '{statement}', sql.form.requestSubmit())"),
                "#result",
            ),
        };
        browser.value(&send).await;
        let there =
            format!("location.pathname !== '/__dev{path}' || document.querySelector('#result')");
        browser
            .until(
                name,
                &format!("({there}) && document.querySelector('{shown}')"),
            )
            .await;
        found.extend(faults(&browser, &format!("page-{name}")).await);
    }
    assert!(found.is_empty(), "{found:#?}");

    // For the documents: all is well again.
    host.checkout.write_lab(&(shop().0)());
    host.until_generation(2).await;
    let traced = ask(&host).await;
    for (name, path) in [
        ("request", &*format!("/requests/{traced}")),
        ("logs", "/logs"),
        ("sql", "/database/sql"),
    ] {
        let url = host.url(&format!("/__dev{path}"));
        browser
            .inspect(&url, 1280, "light", &format!("documented-{name}"))
            .await;
    }
    browser
        .value(&format!(
            "(sql.value = '{STATEMENT}', sql.form.requestSubmit())"
        ))
        .await;
    browser
        .until("the rows", "document.querySelector('#result td')")
        .await;
    browser.screenshot("documented-sql").await;
    browser.close().await;
}

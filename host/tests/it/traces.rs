//! Requests and all that they did: their statements, their waits, their log, and what was sent both ways.

use serde_json::Value;

use crate::{
    support::{Checkout, Chromium, Host, Lab, eventually, lab},
    web::token,
};

fn traced() -> Lab {
    lab!(
        r#"Router::new()
            .route("/each", get(async |State(state): State<AppState>| {
                tracing::info!(orders = 5, "looking each up");
                for id in 0..5_i64 {
                    state.db.query("SELECT $1::int8 AS one_of_each", &[&id]).await.unwrap();
                }
            }))
            .route("/page", get(async |State(state): State<AppState>| {
                for id in 0..4_i64 {
                    state.db.query("SELECT $1::int8 AS row_of_a_page", &[&id]).await.unwrap();
                }
                Html("<!doctype html><html lang='en'><title>Page</title><body><main><h1>A page</h1></main></body></html>")
            }))
            .route("/add", post(async |State(state): State<AppState>, body: String| {
                state.db.execute("INSERT INTO counter (name) VALUES ($1)", &[&body]).await.unwrap();
            }))
            .route("/sign-in", get(async |State(state): State<AppState>| {
                state.db.query("SELECT $1::text AS password", &[&"hunter2"]).await.unwrap();
            }))
            .route("/wrong", get(async |State(state): State<AppState>| {
                state.db.query("SELECT wrong", &[]).await.map(|_| ()).map_err(|error| error.to_string())
            }))
            .route("/driver/{times}", get(async |State(state): State<AppState>, Path(times): Path<i64>| {
                let alone = state.db.checkout().await.unwrap();
                alone.client().query("SELECT 'alone'", &[]).await.unwrap();
                drop(alone);
                let url = std::env::var("DATABASE_URL").unwrap();
                let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
                tokio::spawn(connection);
                client.batch_execute("BEGIN").await.unwrap();
                let sql = "SELECT $1::int8 AS of_a_driver FROM generate_series(1, $1::int8)";
                let statement = client.prepare(sql).await.unwrap();
                for _ in 0..times {
                    client.query(&statement, &[&times]).await.unwrap();
                }
                client.query("SELECT 1 / ($1::int8 - $1)", &[&times]).await.unwrap_err();
            }))
            .route("/alone", get(async |State(state): State<AppState>| {
                let alone = state.db.checkout().await.unwrap();
                gate("go-on").await;
                drop(alone);
            }))"#
    )
}

async fn start(environment: &[(&str, &str)]) -> Host {
    let checkout = Checkout::new();
    checkout.add_built_lab(traced());
    Host::start_in(checkout, environment).await
}

/// The trace of a request that has just been answered.
async fn trace_of(host: &Host, response: &reqwest::Response) -> Value {
    let id = response.headers()["x-request-id"].to_str().unwrap();
    host.json(&format!("/__dev/requests/{id}.json")).await
}

fn of_kind<'a>(trace: &'a Value, kind: &str) -> Vec<&'a Value> {
    let events = trace["events"].as_array().unwrap();
    events
        .iter()
        .filter(|event| event["kind"] == kind)
        .collect()
}

#[tokio::test]
async fn a_request_shows_its_statements_its_log_and_where_its_time_went() {
    let host = start(&[]).await;
    let answer = host.get("/each?token=hunter2&page=1").await;
    let timing = answer.headers()["server-timing"].to_str().unwrap();
    assert!(
        timing.contains("db;dur=") && timing.contains("desc=\"5 statements\""),
        "{timing}"
    );
    let trace = trace_of(&host, &answer).await;
    assert_eq!(trace["request"]["path"], "/each");
    assert_eq!(trace["query"], "token=***&page=1");
    let statements = of_kind(&trace, "statement");
    assert_eq!(statements.len(), 5);
    assert_eq!(statements[4]["text"], "SELECT $1::int8 AS one_of_each");
    assert_eq!(statements[4]["params"], serde_json::json!(["4"]));
    assert_eq!(statements[4]["rows"], 1);
    let at = statements[4]["at"].as_str().unwrap();
    assert!(at.starts_with("app_lib/src/lab.rs:"), "{at}");
    assert_eq!(trace["repeated"][0]["parameters"], "differ");
    let log = of_kind(&trace, "log");
    assert_eq!(log[0]["message"], "looking each up orders=5");

    // The same as a page, and in the list of those that repeat themselves.
    let id = trace["request"]["id"].as_u64().unwrap();
    let page = host.text(&format!("/__dev/requests/{id}")).await;
    assert!(
        page.contains("N+1") && page.contains("looking each up orders=5"),
        "{page}"
    );
    host.get("/sign-in").await;
    let repeated = host.json("/__dev/requests.json?only=repeated").await;
    let paths: Vec<_> = repeated
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["path"])
        .collect();
    assert_eq!(paths, ["/each"]);
    assert_eq!(host.get("/__dev/requests/99").await.status(), 404);
}

#[tokio::test]
async fn what_is_secret_is_masked_and_a_failure_is_named() {
    let host = start(&[]).await;
    let answer = host.get("/sign-in").await;
    let trace = trace_of(&host, &answer).await;
    assert_eq!(
        of_kind(&trace, "statement")[0]["params"],
        serde_json::json!(["***"])
    );
    assert!(!trace.to_string().contains("hunter2"), "{trace}");

    let sent = host
        .client
        .post(host.url("/add"))
        .header("cookie", "sid=hunter2")
        .body("it's {one}");
    let answer = sent.send().await.unwrap();
    let trace = trace_of(&host, &answer).await;
    assert_eq!(trace["request_body"], "it's {one}");
    assert!(!trace.to_string().contains("hunter2"), "{trace}");
    // As a command it has to work.
    let id = trace["request"]["id"].as_u64().unwrap();
    let curl = host.text(&format!("/__dev/requests/{id}/curl")).await;
    assert!(
        curl.starts_with(&format!(
            "curl -i --globoff --path-as-is -X 'POST' '{}'",
            host.url("/add")
        )) && curl.contains("-H 'cookie: sid=hunter2'")
            && curl.contains(r"--data-raw 'it'\''s {one}'"),
        "{curl}"
    );

    let trace = trace_of(&host, &host.get("/wrong").await).await;
    assert_eq!(
        of_kind(&trace, "statement")[0]["error"]["sqlstate"],
        "42703"
    );
}

#[tokio::test]
async fn what_another_driver_runs_is_in_the_trace_of_the_request_that_runs_it() {
    let host = start(&[]).await;
    let requests = [2, 3, 4, 5].map(|times| {
        let host = &host;
        async move { (times, host.get(&format!("/driver/{times}")).await) }
    });
    for (times, answer) in futures_util::future::join_all(requests).await {
        let trace = trace_of(&host, &answer).await;
        let statements = of_kind(&trace, "statement");
        let of = |text: &str| {
            let is_it = |it: &&&Value| it["text"].as_str().unwrap().starts_with(text);
            statements.iter().filter(is_it).collect::<Vec<_>>()
        };
        let rows = of("SELECT $1::int8 AS of_a_driver");
        assert_eq!(rows.len(), times, "{trace}");
        assert!(rows.iter().all(|it| it["rows"] == times), "{trace}");
        assert_eq!(of("BEGIN").len(), 1, "{trace}");
        assert_eq!(of("SELECT 1 /")[0]["error"]["sqlstate"], "22012");
        assert_eq!(of("SELECT 'alone'").len(), 1, "{trace}");
        assert_eq!(statements.len(), times + 3, "{trace}");
    }
}

#[tokio::test]
async fn a_wait_for_the_connection_names_who_had_it() {
    let host = start(&[]).await;
    let alone = tokio::spawn(host.client.get(host.url("/alone")).send());
    host.until("the checkout", |status| {
        status.0["db"]["holders"].to_string().contains("/alone")
    })
    .await;
    let waits = tokio::spawn(host.client.get(host.url("/sign-in")).send());
    host.until("the wait", |status| status.number("/db/waiting") == 1)
        .await;
    host.checkout.write("go-on", "");
    let answer = waits.await.unwrap().unwrap();
    alone.await.unwrap().unwrap();
    let trace = trace_of(&host, &answer).await;
    let behind = of_kind(&trace, "wait")[0]["behind"].as_str().unwrap();
    assert!(
        behind.starts_with("GET /alone, generation 1 holds it alone"),
        "{behind}"
    );
    let timing = &trace["timing"];
    assert!(timing["wait_ms"].as_f64().unwrap() > 0., "{timing}");
}

#[tokio::test]
async fn a_statement_is_explained_and_one_that_writes_only_when_asked_twice() {
    let host = start(&[]).await;
    let observer = host.observe().await;
    let counters = async || -> i64 {
        let sql = "SELECT count(*) FROM counter WHERE name = 'explained'";
        observer.query_one(sql, &[]).await.unwrap().get(0)
    };
    let page_of = async |answer: &reqwest::Response| {
        let id = answer.headers()["x-request-id"].to_str().unwrap();
        let page = host.text(&format!("/__dev/requests/{id}")).await;
        let action = page.split("method=\"post\" action=\"").nth(1).unwrap();
        let (path, _) = action.split_once('"').unwrap();
        let token = page.split("name=\"token\" value=\"").nth(1).unwrap();
        let (token, _) = token.split_once('"').unwrap();
        (path.to_owned(), token.to_owned())
    };
    let explain = async |path: &str, form: &[(&str, &str)]| {
        let post = host.client.post(host.url(path));
        let body = form.iter().map(|(name, value)| format!("{name}={value}"));
        let post = post
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.collect::<Vec<_>>().join("&"));
        let answer = post.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (path, token) = page_of(&host.get("/each").await).await;
    assert_eq!(
        explain(&path, &[]).await.0,
        403,
        "a foreign page knows no token"
    );
    let (status, plan) = explain(&path, &[("token", &token)]).await;
    assert!(status == 200 && plan.contains("Execution Time"), "{plan}");

    let added = host
        .client
        .post(host.url("/add"))
        .body("explained")
        .send()
        .await
        .unwrap();
    let (path, token) = page_of(&added).await;
    assert_eq!(counters().await, 1);
    assert_eq!(explain(&path, &[("token", &token)]).await.0, 409);
    let (status, plan) = explain(&path, &[("token", &token), ("writes", "true")]).await;
    assert!(
        status == 200 && plan.contains("Insert on counter"),
        "{plan}"
    );
    assert_eq!(counters().await, 1, "it was rolled back");
}

#[tokio::test]
async fn nothing_is_recorded_if_nobody_wants_it() {
    let host = start(&[("HOST_TRACES", "0")]).await;
    let answer = host.get("/each").await;
    assert!(!answer.headers().contains_key("server-timing"));
    let listed = host.json("/__dev/requests.json").await;
    assert_eq!(listed[0]["path"], "/each");
    let id = listed[0]["id"].as_u64().unwrap();
    let trace = host.json(&format!("/__dev/requests/{id}.json")).await;
    assert_eq!(trace["events"], serde_json::json!([]));
}

#[tokio::test]
async fn the_pages_of_requests_fit_a_phone_and_every_reader() {
    let Some(browser) = Chromium::start().await else {
        return;
    };
    let host = start(&[]).await;

    // The bar on the app's page leads to its trace, until it is closed.
    browser.open(&host.url("/page")).await;
    let bar = "document.documentElement.lastElementChild.shadowRoot?.querySelector('aside')";
    browser.until("the bar", bar).await;
    let text = browser.value(&format!("{bar}.innerText")).await;
    let text = text.as_str().unwrap();
    assert!(
        text.starts_with("gen 1 · ") && text.contains(" ms · 4 statements · N+1"),
        "{text}"
    );
    let target = browser
        .value(&format!("{bar}.querySelector('a').href"))
        .await;
    let trace = host
        .json(&format!(
            "{}.json",
            target.as_str().unwrap().strip_prefix(&host.base).unwrap()
        ))
        .await;
    assert_eq!(trace["request"]["path"], "/page");
    let faults = browser.accessibility_faults().await;
    assert!(faults.is_empty(), "the bar: {faults:#?}");
    browser.screenshot("bar").await;
    browser
        .value(&format!("{bar}.querySelector('button').click()"))
        .await;
    browser.open(&host.url("/page")).await;
    browser
        .until("the script", "document.readyState === 'complete'")
        .await;
    assert_eq!(browser.value(&format!("{bar} ?? null")).await, Value::Null);

    let answer = host.get("/each?page=1").await;
    let id = answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    for (name, path) in [
        ("requests", "/__dev/requests".to_owned()),
        ("request", format!("/__dev/requests/{id}")),
    ] {
        for (width, scheme) in [
            (1280, "light"),
            (390, "dark"),
            (390, "light"),
            (1280, "dark"),
        ] {
            let screenshot = format!("{name}-{width}-{scheme}");
            let url = host.url(&path);
            browser.inspect(&url, width, scheme, &screenshot).await;
        }
    }
    browser.click("form button").await;
    eventually("the plan", async || {
        let text = browser.value("document.body.innerText").await;
        text.as_str()
            .unwrap()
            .contains("Execution Time")
            .then_some(())
    })
    .await;
    let faults = browser.accessibility_faults().await;
    assert!(faults.is_empty(), "the plan: {faults:#?}");
    browser.close().await;
}

#[tokio::test]
async fn a_request_that_is_sent_again_shows_what_the_code_of_now_answers_differently() {
    let host = start(&[]).await;
    let again = async |id: &str| {
        let form = [("token", token(&host).await)];
        let sent = host
            .client
            .post(host.url(&format!("/__dev/requests/{id}/again")))
            .form(&form);
        sent.send().await.unwrap()
    };
    let added = host
        .client
        .post(host.url("/add"))
        .body("one of two")
        .send()
        .await
        .unwrap();
    let answer = again(added.headers()["x-request-id"].to_str().unwrap()).await;
    assert_eq!(answer.status(), 200, "it leads to the comparison");
    let shown = answer.text().await.unwrap();
    assert_eq!(shown.matches("The same.").count(), 3, "{shown}");
    let counters = host.text("/api/counters").await;
    assert_eq!(counters.matches("one of two").count(), 2, "{counters}");

    let page = host.get("/page").await;
    let id = page.headers()["x-request-id"].to_str().unwrap();
    let lab = traced().0().replace("A page", "Another page");
    host.checkout
        .write_lab(&lab.replace("0..4_i64", "0..3_i64"));
    host.until_generation(2).await;
    let shown = again(id).await.text().await.unwrap();
    for part in [
        "<td>1</td><td>2</td>",
        "<del>- &lt;!doctype html&gt;&lt;html lang='en'&gt;&lt;title&gt;Page&lt;/title&gt;&lt;body&gt;&lt;main&gt;&lt;h1&gt;A page",
        "&lt;h1&gt;Another page",
        "<del>- SELECT $1::int8 AS row_of_a_page  → 1 row</del>",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }

    let stranger = host
        .client
        .post(host.url(&format!("/__dev/requests/{id}/again")));
    let answer = stranger.form(&[("token", "guessed")]).send().await.unwrap();
    assert_eq!(answer.status(), 403);
}

//! What the host answers in the app's place, and what its pages may ask it to do.

use serde_json::Value;

use crate::support::{Checkout, Host, eventually, lab};

const PANICS: &str = r#"Router::new()
    .route("/panic", get(async || -> &'static str { panic!("<b>markup</b>") }))
    .route("/api/panic", get(async || -> &'static str { panic!("for a program") }))"#;

async fn asked(host: &Host, path: &str, accept: &str) -> (u16, String, String) {
    let request = host.client.get(host.url(path)).header("accept", accept);
    let answer = request
        .header("cookie", "session=hush")
        .send()
        .await
        .unwrap();
    let kind = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    (answer.status().as_u16(), kind, answer.text().await.unwrap())
}

#[tokio::test]
async fn a_panic_is_told_in_the_form_the_client_takes() {
    let host = Host::with_lab(PANICS).await;
    let (status, kind, page) = asked(&host, "/panic?q=<i>", "text/html").await;
    assert_eq!((status, kind.as_str()), (500, "text/html; charset=utf-8"));
    for part in [
        "&lt;b&gt;markup&lt;/b&gt;",
        "app_lib/src/lab.rs:",
        "lab::routes::{", // and how the compiler writes a closure
        "<mark>",
        "/__dev/browser.js",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    for never in ["<b>markup", "hush"] {
        assert!(!page.contains(never), "{never} in {page}");
    }
    let (status, kind, json) = asked(&host, "/api/panic", "*/*").await;
    assert_eq!((status, kind.as_str()), (500, "application/json"));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["error"]["message"], "for a program");
    assert!(
        json["error"]["location"]
            .as_str()
            .unwrap()
            .starts_with("app_lib/src/lab.rs:")
    );
    let (status, kind, text) = asked(&host, "/panic", "*/*").await;
    assert_eq!((status, kind.as_str()), (500, "text/plain; charset=utf-8"));
    assert!(text.contains("<b>markup</b>"), "{text}");
    let recent = &host.status().await.0["requests"];
    assert!(
        recent[0]["panic"].as_str().unwrap().contains("lab.rs"),
        "{recent}"
    );
}

/// A build that waits for as long as a file `slow` is there.
fn slow_build(checkout: &Checkout) {
    checkout.write(
        "app_lib/build.rs",
        "//! Waits.\nfn main() {\n    println!(\"cargo:rerun-if-changed=src\");\n    \
         while std::path::Path::new(\"../slow\").exists() { std::thread::sleep(std::time::Duration::from_millis(5)) }\n}\n",
    );
}

async fn slow_host(hold_ms: &str) -> Host {
    let checkout = Checkout::new();
    checkout.add_lab(r#"Router::new().route("/page", get(async || Html("1")))"#);
    slow_build(&checkout);
    let host = Host::start_in(checkout, &[("HOST_HOLD_MS", hold_ms)]).await;
    host.checkout.write("slow", "");
    host.checkout
        .write_lab(r#"Router::new().route("/page", get(async || Html("2")))"#);
    host.until("the build", |status| status.phase() == "building")
        .await;
    host
}

fn navigate(host: &Host) -> impl Future<Output = (Option<String>, String)> + use<> {
    let request = host
        .client
        .get(host.url("/page"))
        .header("accept", "text/html");
    async move {
        let answer = request.send().await.unwrap();
        let stale = answer.headers().get("x-dev-stale");
        let stale = stale.map(|stale| stale.to_str().unwrap().to_owned());
        (stale, answer.text().await.unwrap())
    }
}

#[tokio::test]
async fn a_page_asked_for_during_a_build_waits_for_it_and_other_requests_do_not() {
    let host = slow_host("60000").await;
    let pages = [tokio::spawn(navigate(&host)), tokio::spawn(navigate(&host))];
    // Neither is a page that a user waits for.
    assert_eq!(host.text("/page").await, "1");
    let part = host
        .client
        .get(host.url("/page"))
        .header("accept", "text/html");
    let part = part.header("hx-request", "true").send().await.unwrap();
    assert_eq!(part.text().await.unwrap(), "1");
    assert!(pages.iter().all(|page| !page.is_finished()));
    eventually("a build that takes its time to be told", async || {
        let told = |line: &str| line.contains("building the app …") && line.ends_with(" s");
        let log = host.log();
        let (_, after_the_first) = log.split_once("Ctrl-C to stop")?;
        after_the_first.lines().any(told).then_some(())
    })
    .await;
    std::fs::remove_file(host.checkout.path("slow")).unwrap();
    for page in pages {
        assert_eq!(page.await.unwrap(), (None, "2".to_owned()));
    }
    let reloads = &host.status().await.0["reloads"];
    assert_eq!(reloads["ok"], 1, "several waiters, one build");
}

#[tokio::test]
async fn at_the_limit_of_waiting_the_old_code_answers_and_says_so() {
    let host = slow_host("50").await;
    assert_eq!(
        navigate(&host).await,
        (Some("1".to_owned()), "1".to_owned())
    );
    std::fs::remove_file(host.checkout.path("slow")).unwrap();
    host.until_generation(2).await;
    assert_eq!(navigate(&host).await, (None, "2".to_owned()));
}

/// The token that the dashboard carries.
pub(crate) async fn token(host: &Host) -> String {
    let page = host.text("/__dev").await;
    let (_, rest) = page.split_once("name=\"dev-token\" content=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

pub(crate) async fn act(
    host: &Host,
    action: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> (u16, String) {
    let mut request = host
        .client
        .post(host.url(&format!("/__dev/actions/{action}")))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn actions_need_the_token_and_the_same_origin() {
    let host = Host::start().await;
    let token = token(&host).await;
    let backend = host.backend().await;
    let (own, foreign) = (host.base.clone(), "http://evil.example");
    for (headers, status) in [
        (vec![], 403),
        (vec![("x-dev-token", "guess")], 403),
        (
            vec![("x-dev-token", token.as_str()), ("origin", foreign)],
            403,
        ),
        (
            vec![("x-dev-token", &token), ("sec-fetch-site", "cross-site")],
            403,
        ),
        (
            vec![("x-dev-token", &token), ("sec-fetch-site", "same-site")],
            403,
        ),
        (
            vec![("x-dev-token", &token), ("host", "rebound.example")],
            403,
        ),
        (vec![("x-dev-token", &token), ("origin", &own)], 200),
        (
            vec![("x-dev-token", &token), ("sec-fetch-site", "same-origin")],
            200,
        ),
    ] {
        let (got, why) = act(&host, "migrate", "", &headers).await;
        assert_eq!(got, status, "{headers:?}: {why}");
    }
    let get = host.get("/__dev/actions/migrate").await;
    assert_eq!(get.status(), 405);
    assert_eq!(
        host.backend().await,
        backend,
        "migrating needs no other connection"
    );
}

#[tokio::test]
async fn the_buttons_do_what_they_say() {
    let host = Host::start().await;
    let token = token(&host).await;
    let mine = [("x-dev-token", token.as_str())];
    let first = host.backend().await;

    assert_eq!(act(&host, "new-pool", "", &mine).await.0, 200);
    let second = eventually("another backend", async || {
        let now = host.backend().await;
        (now != first).then_some(now)
    })
    .await;
    assert_eq!(host.status().await.number("/db/opened_total"), 2);

    let (status, said) = act(&host, "terminate", &format!("pid={second}"), &mine).await;
    assert_eq!(status, 200, "{said}");
    let status = host
        .until("the loss to be counted", |status| {
            status.0["db"]["reconnects"][0]["times"] == 1
        })
        .await;
    let reason = status.0["db"]["reconnects"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("57P01"), "{reason}");
    assert_ne!(host.backend().await, second);
    assert_eq!(act(&host, "terminate", "pid=1", &mine).await.0, 404);

    // Built again, though nothing was saved: the same bytes.
    assert_eq!(act(&host, "rebuild", "", &mine).await.0, 200);
    host.until("the build", |status| status.0["reloads"]["unchanged"] == 1)
        .await;
    assert_eq!(act(&host, "no-such", "", &mine).await.0, 404);
}

#[tokio::test]
async fn the_switches_are_turned_by_a_restart_on_the_same_socket() {
    let checkout = Checkout::new();
    checkout.add_lab(
        r#"Router::new().route("/environment", get(async || format!("{:?}", std::env::vars_os())))"#,
    );
    let (path, toolchain) = tell_on_cargo(&checkout);
    let environment = [("PATH", &*path), ("RUSTUP_TOOLCHAIN", &*toolchain)];
    let host = Host::start_in(checkout, &environment).await;
    let pid = host.pid();
    let mine = token(&host).await;
    let switch = "pool=app&isolation=off";
    let (status, said) = act(&host, "mode", switch, &[("x-dev-token", &mine)]).await;
    assert_eq!(status, 200, "{said}");
    let status = host
        .until("the other mode", |status| {
            status.0["pool_owner"] == "app" && status.phase() == "active"
        })
        .await;
    assert_eq!(
        (&status.0["isolation"], status.number("/host_pid")),
        (&"off".into(), i64::from(pid))
    );
    assert_eq!(status.number("/db/usable"), 16, "the small cluster");
    let stale = act(&host, "mode", switch, &[("x-dev-token", &mine)]).await;
    assert_eq!(stale.0, 403);
    assert!(stale.1.starts_with("stale token"), "{}", stale.1);

    // Neither the app nor a compiler finds anything that was meant for the new image of the host, or that rustup has
    // read in the project's file, which may say something else by now.
    assert_eq!(status.number("/restarts"), 1, "it knows that it is one");
    let of_cargo = std::fs::read_to_string(host.checkout.path("cargo.log")).unwrap();
    assert_eq!(of_cargo.matches("cargo runs\n").count(), 2, "{of_cargo}");
    let of_app = host.text("/environment").await;
    for variable in ["LISTEN_", "CARRIED", "RUSTUP_TOOLCHAIN"] {
        assert!(!of_cargo.contains(variable), "{of_cargo}");
        assert!(!of_app.contains(variable), "{of_app}");
    }
}

/// A path whose cargo writes down its environment, and the toolchain that rustup makes of the project's file.
fn tell_on_cargo(checkout: &Checkout) -> (String, String) {
    use std::os::unix::fs::PermissionsExt;
    let (log, bin) = (checkout.path("cargo.log"), checkout.path("bin"));
    let path = std::env::var("PATH").unwrap();
    std::fs::create_dir(&bin).unwrap();
    checkout.write(
        "bin/cargo",
        &format!(
            "#!/bin/sh\n(echo cargo runs; env) >> '{}'\nPATH='{path}' exec cargo \"$@\"\n",
            log.display()
        ),
    );
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bin.join("cargo"), executable).unwrap();
    let toolchain = std::fs::read_to_string(checkout.path("rust-toolchain.toml")).unwrap();
    let (_, channel) = toolchain.split_once("channel = \"").unwrap();
    let (channel, _) = channel.split_once('"').unwrap();
    (
        format!("{}:{path}", bin.display()),
        format!("{channel}-x86_64-unknown-linux-gnu"),
    )
}

#[tokio::test]
async fn the_status_tells_requests_reloads_and_settings_and_no_secret() {
    let host =
        Host::with_built_lab(lab!(r#"Router::new().route("/lab", get(async || "GEN"))"#)).await;
    let socket = host.checkout.path(".dev/postgres/socket");
    host.checkout.write(
        ".env",
        &format!(
            "DATABASE_URL=postgres://postgres:hunter2@/postgres?host={}\n",
            socket.display()
        ),
    );
    host.until("the new settings", |status| {
        status.0["environment"][0]["source"] == ".env"
    })
    .await;
    host.text("/api/counters?secret=hunter2").await;
    host.checkout
        .write_lab(r#"Router::new().route("/lab", get(async || "2"))"#);
    let status = host
        .until("the reload in the journal", |status| {
            status.0["history"][1]["backends"] == 1
        })
        .await
        .0;
    let request = &status["requests"][0];
    assert_eq!(
        (&request["path"], &request["status"], &request["statements"]),
        (&"/api/counters".into(), &200.into(), &1.into())
    );
    let last = &status["history"][1];
    assert_eq!(
        (&last["generation"], &last["files"][0], &last["backends"]),
        (&2.into(), &"app_lib/src/lab.rs".into(), &1.into())
    );
    assert!(last["detect_ms"].as_f64().unwrap() > 0.0);
    assert!(status["latency"]["build"]["p50"].as_f64().unwrap() > 0.0);
    assert_eq!(status["activity"][0]["ours"], true);
    assert!(!status.to_string().contains("hunter2"), "{status}");
    assert!(!host.log().contains("hunter2"), "{}", host.log());
}

//! A save changes the answer, and nothing else.

use std::fs;

use crate::{
    support::{Checkout, Host, eventually, lab},
    web::{act, token},
};

const SAY_ONE: &str = r#"Router::new().route("/say", get(async || "one"))"#;
const SAY_TWO: &str = r#"Router::new().route("/say", get(async || "two"))"#;

#[tokio::test]
async fn a_save_changes_the_answer_on_the_same_backend() {
    let host = Host::with_built_lab(lab!(SAY_ONE)).await;
    let before = host.status().await;
    assert_eq!(
        (
            before.number("/db/size"),
            before.number("/db/opened_total"),
            before.number("/db/backends")
        ),
        (0, 0, 0),
        "nothing is opened before the first query"
    );
    let backend = host.backend().await;
    assert_eq!(host.text("/say").await, "one");

    host.checkout.write_lab(SAY_TWO);
    let after = host.until_generation(2).await;
    assert_eq!(host.text("/say").await, "two");
    assert_eq!(host.backend().await, backend);
    assert_eq!(after.0["last_reload"]["files"][0], "app_lib/src/lab.rs");
    assert_eq!(
        (
            after.number("/db/max"),
            after.number("/db/size"),
            after.number("/db/opened_total"),
            after.number("/db/backends")
        ),
        (1, 1, 1, 1)
    );
    assert_eq!(after.number("/db/backend_pid"), backend);
    assert_eq!(after.number("/host_pid"), i64::from(host.pid()));
    assert_eq!(
        (after.number("/reloads/ok"), after.number("/reloads/failed")),
        (1, 0)
    );
    assert!(
        after.number("/last_reload/build_ms") > 0
            || after.0["last_reload"]["build_ms"].as_f64().unwrap() > 0.0
    );
    host.until("generation 1 to retire", |status| status.is_retired(1))
        .await;

    let log = host.log();
    let line = log.lines().find(|line| line.contains("gen 2")).unwrap();
    assert!(
        line.contains("app_lib/src/lab.rs")
            && line.contains(&backend.to_string())
            && line.contains("conns 1"),
        "{line}"
    );
}

#[tokio::test]
async fn ten_saves_in_a_burst_end_with_the_last_one_and_lose_no_request() {
    let host = Host::with_built_lab(lab!(SAY_ONE)).await;
    let backend = host.backend().await;
    for n in 0..10 {
        host.checkout
            .write_lab(&SAY_ONE.replace("one", &format!("save {n}")));
        assert_eq!(host.get("/say").await.status(), 200);
    }
    eventually("the last save", async || {
        let answer = host.get("/say").await;
        assert_eq!(answer.status(), 200);
        (answer.text().await.unwrap() == "save 9").then_some(())
    })
    .await;
    let status = host
        .until("rest", |status| status.phase() == "active")
        .await;
    assert_eq!(host.backend().await, backend);
    assert_eq!(
        (
            status.number("/db/backends"),
            status.number("/db/opened_total")
        ),
        (1, 1)
    );
    assert_eq!(
        status.number("/reloads/failed"),
        0,
        "a cancelled build is no failed one"
    );
}

#[tokio::test]
async fn a_compile_error_keeps_the_old_code_and_its_correction_goes_live() {
    let host = Host::with_built_lab(lab!(SAY_ONE)).await;
    host.checkout
        .write_lab(r#"Router::new().route("/say", get(async || no_such_thing))"#);
    let failed = host
        .until("the failed build", |status| {
            status.phase() == "build_failed"
        })
        .await;
    assert_eq!(failed.generation(), 1);
    assert_eq!(failed.0["build"]["ok"], false);
    let diagnostic = &failed.0["build"]["diagnostics"][0];
    assert_eq!(diagnostic["file"], "app_lib/src/lab.rs");
    assert!(
        diagnostic["line"].as_u64().is_some()
            && diagnostic["message"]
                .as_str()
                .unwrap()
                .contains("no_such_thing")
    );
    assert_eq!(host.text("/say").await, "one");
    let log = host.log();
    assert!(
        log.contains("cannot find value `no_such_thing`") && log.contains("still serving gen 1"),
        "{log}"
    );

    host.checkout.write_lab(SAY_TWO);
    let fixed = host.until_generation(2).await;
    assert_eq!(fixed.0["build"]["ok"], true);
    assert_eq!(host.text("/say").await, "two");
    assert_eq!(fixed.number("/reloads/failed"), 1);
}

#[tokio::test]
async fn a_broken_start_says_so_and_its_correction_goes_live() {
    let checkout = Checkout::new();
    checkout.add_lab("no_such_thing");
    let host = Host::spawn_in(checkout, &[]).await;
    // Asked while the first build runs: the answer waits for its outcome.
    let answer = host.get("/say").await;
    assert_eq!(answer.status(), 503);
    assert!(answer.text().await.unwrap().contains("does not compile"));

    host.checkout.write_lab(SAY_ONE);
    host.until_generation(1).await;
    assert_eq!(host.text("/say").await, "one");
}

#[tokio::test]
async fn a_save_without_effect_reloads_nothing() {
    let host = Host::with_lab(SAY_ONE).await;
    host.checkout.write_lab(SAY_ONE);
    let status = host
        .until("the build without effect", |status| {
            status.number("/reloads/unchanged") == 1
        })
        .await;
    assert_eq!((status.generation(), status.number("/reloads/ok")), (1, 0));
}

#[tokio::test]
async fn a_library_that_could_not_be_copied_is_loaded_once_there_is_room() {
    let host = Host::with_lab(SAY_ONE).await;
    // As a full disk: the copies that the library is opened from cannot be made.
    let copies = |number| {
        let name = format!(".dev/live/libapp_lib-{}-1-g{number}.so", host.pid());
        host.checkout.path(name)
    };
    for number in 1..9 {
        fs::create_dir(copies(number)).unwrap();
    }
    let until_refused = async |times: i64| {
        let refused = host
            .until("the refusal", |status| {
                status.phase() == "load_failed" && status.number("/reloads/failed") == times
            })
            .await;
        let why = refused.0["build"]["refused"].as_str().unwrap();
        assert!(
            why.contains("Unable to copy") && why.contains("press r"),
            "{why}"
        );
    };
    let token = token(&host).await;
    let rebuild = async || {
        let (status, said) = act(&host, "rebuild", "", &[("x-dev-token", &token)]).await;
        assert_eq!(status, 200, "{said}");
    };
    host.checkout.write_lab(SAY_TWO);
    until_refused(1).await;
    rebuild().await;
    until_refused(2).await;
    // What is live needs no copy.
    host.checkout.write_lab(SAY_ONE);
    let status = host
        .until("the code that is live", |status| status.phase() == "active")
        .await;
    assert_eq!(
        (status.generation(), status.number("/reloads/unchanged")),
        (1, 1)
    );

    host.checkout.write_lab(SAY_TWO);
    until_refused(3).await;
    for number in 1..9 {
        fs::remove_dir(copies(number)).unwrap();
    }
    rebuild().await;
    host.until_generation(2).await;
    assert_eq!(host.text("/say").await, "two");
}

#[tokio::test]
async fn a_panic_in_a_handler_is_a_500_with_its_place() {
    let host = Host::with_built_lab(lab!(r#"Router::new().route("/panic", get(async || -> &'static str { panic!("the reason") })).route("/say", get(async || "one"))"#))
    .await;
    let answer = host.get("/panic").await;
    assert_eq!(answer.status(), 500);
    let text = answer.text().await.unwrap();
    assert!(
        text.contains("the reason") && text.contains("app_lib/src/lab.rs:"),
        "{text}"
    );
    assert!(host.log().contains("app_lib/src/lab.rs:"));
    assert_eq!(host.text("/say").await, "one");
}

#[tokio::test]
async fn an_app_that_fails_panics_or_hangs_is_refused_and_the_old_one_serves() {
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(SAY_ONE));
    let host = Host::start_in(checkout, &[("APP_START_TIMEOUT_MS", "1000")]).await;
    let app = std::fs::read_to_string(host.checkout.path("app_lib/src/lib.rs")).unwrap();
    let (start, good) = ("    let api = Router::new()", app.clone());
    for (failed, (code, says)) in [
        (
            r#"if state.generation > 1 { return Err("no licence".into()) }"#,
            "no licence",
        ),
        (
            r#"assert!(state.generation == 1, "a broken promise");"#,
            "panicked",
        ),
        (
            r#"if state.generation > 1 { std::future::pending::<()>().await }"#,
            "APP_START_TIMEOUT_MS",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        host.checkout.write(
            "app_lib/src/lib.rs",
            &good.replace(start, &format!("    {code}\n{start}")),
        );
        let refused = host
            .until(says, |status| {
                status.phase() == "load_failed"
                    && status.number("/reloads/failed") == failed as i64 + 1
            })
            .await;
        assert!(
            refused.0["build"]["refused"]
                .as_str()
                .unwrap()
                .contains(says),
            "{}",
            refused.0["build"]["refused"]
        );
        assert_eq!(
            (refused.generation(), host.text("/say").await),
            (1, "one".to_owned())
        );
    }
    // What it needed has come: saved again without a change, the start is tried again.
    host.checkout.write("app_lib/src/lib.rs", &good.replace(start, &format!("    if state.generation > 1 && !std::path::Path::new(\"licence\").exists() {{ return Err(\"no licence\".into()) }}\n{start}")));
    host.until("the fourth refusal", |status| {
        status.phase() == "load_failed" && status.number("/reloads/failed") == 4
    })
    .await;
    host.checkout.write("licence", "");
    let app = std::fs::read_to_string(host.checkout.path("app_lib/src/lib.rs")).unwrap();
    host.checkout.write("app_lib/src/lib.rs", &app);
    host.until_generation(2).await;
}

#[tokio::test]
async fn what_was_refused_is_tried_again_when_the_settings_are_saved() {
    let host = Host::with_built_lab(lab!("Router::new()")).await;
    host.checkout.write_lab(
        r#"assert!(std::fs::read_to_string(".env").is_ok(), "no settings"); Router::new()"#,
    );
    host.until("the refusal", |status| status.phase() == "load_failed")
        .await;
    host.checkout.write(".env", "DRAIN_TIMEOUT_MS=9000\n");
    host.until_generation(2).await;
    let log = host.log();
    assert!(
        log.contains("✗ not live: app() panicked: no settings at app_lib/src/lab.rs"),
        "{log}"
    );
}

//! The host's own code changes, or an app does not fit it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::support::{Checkout, Host, client, eventually, lab};

#[tokio::test]
async fn a_change_in_shared_replaces_the_host_and_refuses_nobody() {
    let host = Host::with_built_lab(lab!(
        r#"Router::new().route("/slow", get(async || { gate("open").await; "finished" }))"#,
    ))
    .await;
    let before = host.status().await;
    host.backend().await;
    let postmaster = host.postmaster();
    let slow = tokio::spawn(host.client.get(host.url("/slow")).send());
    host.until("the request inside", |status| {
        status.of_generation(1) == Some(("active", 1))
    })
    .await;

    // A new connection for each request, all the time: any refusal is an error here.
    let (over, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let load = tokio::spawn({
        let (over, answered, client, url) = (
            over.clone(),
            answered.clone(),
            client(),
            host.url("/api/ping"),
        );
        async move {
            while !over.load(Relaxed) {
                let answer = client.get(&url).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                answered.fetch_add(1, Relaxed);
                // Leaves the processor to the build.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });

    host.checkout.edit(
        "shared/src/app.rs",
        "pub db: Db,",
        "pub db: Db,\n    /// New.\n    pub added: (),",
    );
    for (caller, field) in [
        (
            "host/src/reload/live.rs",
            "pool_owner: self.services.mode.pool",
        ),
        (
            "host/src/production/start.rs",
            "pool_owner: PoolOwner::Host",
        ),
    ] {
        host.checkout
            .edit(caller, field, &format!("added: (), {field}"));
    }
    eventually("the restart to begin", async || {
        host.log().contains("restarting it").then_some(())
    })
    .await;
    host.checkout.write("open", "");
    assert_eq!(
        slow.await.unwrap().unwrap().text().await.unwrap(),
        "finished",
        "requests under way finish first"
    );

    let after = host
        .until("the new image", |status| {
            status.number("/restarts") >= 1 && status.phase() == "active"
        })
        .await;
    let so_far = answered.load(Relaxed);
    eventually("answers of the new image", async || {
        (answered.load(Relaxed) > so_far + 5).then_some(())
    })
    .await;
    over.store(true, Relaxed);
    load.await.unwrap();
    assert_eq!(after.number("/host_pid"), before.number("/host_pid"));
    assert!(after.generation() > before.generation(), "ids only grow");
    assert_eq!(host.postmaster(), postmaster, "the cluster stays up");
    let status = host
        .until("one backend", |status| status.number("/db/backends") == 1)
        .await;
    assert_eq!(status.number("/reloads/failed"), 0);
}

#[tokio::test]
async fn a_host_that_does_not_compile_leaves_the_running_one_alone() {
    let host = Host::start().await;
    host.checkout.edit(
        "host/src/lifecycle/signals.rs",
        "pub(crate) struct Signals",
        "pub(crate) struct Signals no_such_thing",
    );
    let failed = host
        .until("the failed build", |status| {
            status.phase() == "build_failed"
        })
        .await;
    assert_eq!((failed.generation(), failed.number("/restarts")), (1, 0));
    assert_eq!(host.get("/api/ping").await.status(), 200);
}

#[tokio::test]
async fn a_faulty_manifest_is_explained_in_cargos_words() {
    let host = Host::start().await;
    host.checkout
        .edit("app_lib/Cargo.toml", "[dependencies]", "[dependencies");
    let failed = host
        .until("the failed build", |status| {
            status.phase() == "build_failed"
        })
        .await;
    assert!(
        failed.0["build"]["diagnostics"][0]["rendered"]
            .as_str()
            .unwrap()
            .contains("app_lib/Cargo.toml")
    );
    assert_eq!(host.get("/api/ping").await.status(), 200);
}

#[tokio::test]
async fn a_library_built_against_another_shared_is_never_called() {
    let host = Host::start().await;
    let library = std::fs::read_to_string(host.checkout.path("app_lib/src/lib.rs")).unwrap();
    // As `export_app!` would have it, with the stamp of another build. Its entry would leave a trace.
    let foreign = r#"
        use ::shared_dylib as _;
        #[unsafe(no_mangle)]
        pub static app_stamp: shared::abi::Stamp = shared::abi::Stamp::new("0123456789abcdef");
        #[unsafe(no_mangle)]
        pub fn app_entry(state: AppState) -> shared::abi::Building {
            std::fs::write("called", "").unwrap();
            Box::pin(async move { app(state).await.map(Into::into) })
        }"#;
    let foreign = library
        .replace("shared::export_app!(app);", foreign)
        .replace("#![forbid(unsafe_code)]", "#![allow(unsafe_code)]");
    host.checkout.write("app_lib/src/lib.rs", &foreign);
    let refused = host
        .until("the refusal", |status| status.phase() == "load_failed")
        .await;
    let why = refused.0["build"]["refused"].as_str().unwrap();
    assert!(why.contains("0123456789abcdef"), "{why}");
    assert_eq!(
        (
            refused.generation(),
            host.get("/api/ping").await.status().as_u16()
        ),
        (1, 200)
    );
    assert!(!host.checkout.path("called").exists());
    // Saved again without a change it is as unfit as before.
    host.checkout.write("app_lib/src/lib.rs", &foreign);
    let again = host
        .until("the refusal again", |status| {
            status.number("/reloads/failed") == 2
        })
        .await;
    assert_eq!(
        (again.phase(), again.0["build"]["refused"].as_str()),
        ("load_failed", Some(why))
    );

    host.checkout.write(
        "app_lib/src/lib.rs",
        &library.replace("shared::export_app!(app);", ""),
    );
    let refused = host
        .until("the second refusal", |status| {
            status.number("/reloads/failed") == 3
        })
        .await;
    assert!(
        refused.0["build"]["refused"]
            .as_str()
            .unwrap()
            .contains("export_app!"),
        "{}",
        refused.0["build"]["refused"]
    );

    host.checkout.write(
        "app_lib/src/lib.rs",
        &library.replace("\"/api\"", "\"/again\""),
    );
    host.until_generation(2).await;
    assert_eq!(host.get("/again/ping").await.status(), 200);
}

#[tokio::test]
async fn a_build_of_the_host_is_told_keeps_no_page_waiting_and_is_not_cancelled_by_a_save() {
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(
        r#"Router::new().route("/page", get(async || Html("1")))"#
    ));
    let host = Host::start_in(checkout, &[("HOST_HOLD_MS", "600000")]).await;
    host.checkout.edit(
        "host/src/main.rs",
        "fn main() -> ExitCode {",
        "fn main() -> ExitCode {\n    std::hint::black_box(1);",
    );
    let told = "building the app and its dependencies …\n";
    eventually("the build to be told", async || {
        host.log().contains(told).then_some(())
    })
    .await;
    // How long such a build takes is unknown, so the page does not wait for it.
    let page = host.client.get(host.url("/page"));
    let page = page.header("accept", "text/html").send().await.unwrap();
    assert_eq!(page.headers()["x-dev-stale"], "1");
    assert_eq!(page.text().await.unwrap(), "1");

    host.checkout
        .write_lab(r#"Router::new().route("/page", get(async || Html("2")))"#);
    eventually("the save and the restart", async || {
        (host.text("/page").await == "2").then_some(())
    })
    .await;
    let log = host.log();
    assert_eq!(log.matches(told).count(), 1, "{log}");
    assert!(log.contains("restarting it after a build of "), "{log}");
}

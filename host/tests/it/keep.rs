//! `state.keep`: values of the app that outlive its generations.

use crate::support::{Chromium, Host, eventually};

/// In generation `GEN`. `/hung` hangs in the fourth.
const LAB: &str = r#"
    use std::sync::{Arc, atomic::{AtomicU64, Ordering::SeqCst}};
    struct Own;
    struct AtItsEnd(&'static str);
    impl Drop for AtItsEnd {
        fn drop(&mut self) { std::fs::write(self.0, "").unwrap(); }
    }
    Router::new()
        .route("/count", get(async |State(app): State<AppState>| {
            let count = app.keep("count", || async { Ok(AtomicU64::new(0)) }).await.unwrap();
            format!("{} at {:p} in GEN", count.fetch_add(1, SeqCst), Arc::as_ptr(&count))
        }))
        .route("/task", get(async |State(app): State<AppState>| {
            let task = app.keep("task", || async {
                let (of_task, of_value) = (AtItsEnd("task-ended"), AtItsEnd("value-dropped"));
                tokio::spawn(async move { let _held = of_task; std::future::pending::<()>().await });
                Ok(Box::new(move || { let _held = &of_value; "made in GEN" }) as Box<dyn Fn() -> &'static str + Send + Sync>)
            });
            task.await.unwrap()()
        }))
        .route("/own", get(async |State(app): State<AppState>| {
            app.keep("own", || async { Ok(Own) }).await.err().unwrap().to_string()
        }))
        .route("/panic", get(async |State(app): State<AppState>| {
            app.keep::<u8, _, _>("panic", || async { panic!("a claim") }).await.unwrap_err().to_string()
        }))
        .route("/hung", get(async |State(app): State<AppState>| {
            let make = || async { if "GEN" == "4" { gate("never").await; } Ok("made in GEN") };
            *app.keep("hung", make).await.unwrap()
        }))"#;

fn lab(generation: u64) -> String {
    LAB.replace("GEN", &generation.to_string())
}

#[tokio::test]
async fn a_value_outlives_generations_until_it_is_dropped_or_the_host_ends() {
    let host = Host::with_lab(&lab(1)).await;
    assert_eq!(host.status().await.0["kept"], serde_json::json!([]));
    let counted = host.text("/count").await;
    let at = counted
        .strip_prefix("0 ")
        .and_then(|rest| rest.strip_suffix(" in 1"))
        .unwrap();
    assert_eq!(host.text("/task").await, "made in 1");
    for generation in 2..=4_u64 {
        host.checkout.write_lab(&lab(generation));
        host.until_generation(generation).await;
        host.until("the one before to retire", |status| {
            status.is_retired(generation - 1)
        })
        .await;
        let counted = host.text("/count").await;
        assert_eq!(counted, format!("{} {at} in {generation}", generation - 1));
    }
    assert_eq!(host.text("/task").await, "made in 1");
    let ended = ["task-ended", "value-dropped"].map(|file| host.checkout.path(file));
    assert!(ended.iter().all(|file| !file.exists()));

    let own = host.text("/own").await;
    assert!(
        own.contains("app_lib::lab::routes::Own may be laid out differently by the next build")
            && own.contains("add it to shared/Cargo.toml"),
        "{own}"
    );
    let panicked = host.text("/panic").await;
    assert!(
        panicked.ends_with("making the value panicked: a claim"),
        "{panicked}"
    );
    eventually("the log", async || {
        let log = host.log();
        let is_told = |said: &String| log.contains(said);
        [&own, &panicked].into_iter().all(is_told).then_some(())
    })
    .await;

    // A maker that hangs does not keep newer code from making the value, which the older code then gets too.
    let hung = tokio::spawn(host.client.get(host.url("/hung")).send());
    let being_made = |made: bool| {
        move |status: &crate::support::Status| {
            let kept = status.0["kept"].as_array().unwrap();
            kept.iter()
                .any(|value| value["name"] == "hung" && value["made"] == made)
        }
    };
    host.until("the maker to hang", being_made(false)).await;
    host.checkout.write_lab(&lab(5));
    host.until_generation(5).await;
    assert_eq!(host.text("/hung").await, "made in 5");
    let old = hung.await.unwrap().unwrap();
    assert_eq!(old.text().await.unwrap(), "made in 5");
    let status = host.until("the value", being_made(true)).await;
    let named = |name: &str| {
        let kept = status.0["kept"].as_array().unwrap();
        let found = kept.iter().find(|value| value["name"] == name);
        found.unwrap()["generation"].clone()
    };
    assert_eq!((named("count"), named("hung")), (1.into(), 5.into()));

    if let Some(browser) = Chromium::start().await {
        browser.open(&host.url("/__dev/reloads")).await;
        let row = "[...document.querySelectorAll('#kept tr')].find(row => row.textContent.startsWith('count'))";
        browser.until("the value", row).await;
        let faults = browser.accessibility_faults().await;
        assert!(faults.is_empty(), "{faults:#?}");
        browser.click("#kept [aria-label=\"Drop count\"]").await;
        browser.until("no value", &format!("!{row}")).await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser.close().await;
        let counted = host.text("/count").await;
        assert!(counted.starts_with("0 at ") && counted.ends_with(" in 5"));
    }

    let (status, _checkout) = host.stop().await;
    assert!(status.success());
    assert!(ended.iter().all(|file| file.exists()));
}

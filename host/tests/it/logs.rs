//! The app's log: a logger that an app sets up is harmless, and its lines are shown as `RUST_LOG` says.

use crate::support::{Checkout, Host, eventually};

/// Each generation does what `main` of a production app does once: `init` of tracing-subscriber ends in this call.
const LAB: &str = r#"
    tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::new()).unwrap();
    tracing::info!("set up VERSION");
    tracing::info!(target: "shop::orders", "ordered VERSION");
    tracing::debug!("in detail VERSION");
    Router::new()"#;

fn version(version: &str) -> String {
    LAB.replace("VERSION", version)
}

async fn until_logged(host: &Host, line: &str) {
    eventually(line, async || host.log().contains(line).then_some(())).await;
}

#[tokio::test]
async fn an_app_that_sets_up_its_log_is_reloaded_and_heard_as_rust_log_says() {
    let checkout = Checkout::new();
    checkout.add_lab(&version("one"));
    let host = Host::spawn_in(checkout, &[]).await;
    let started = host
        .until("the first start", |status| {
            ["active", "load_failed"].contains(&status.phase())
        })
        .await;
    assert_eq!(started.phase(), "active", "{}", started.0["build"]);
    until_logged(&host, "INFO app_lib::lab: set up one").await;
    until_logged(&host, "INFO shop::orders: ordered one").await;
    host.checkout.write_lab(&version("two"));
    host.until_generation(2).await;
    until_logged(&host, "INFO app_lib::lab: set up two").await;
    assert!(!host.log().contains("in detail"), "{}", host.log());

    host.checkout
        .write(".env", "RUST_LOG=warn,app_lib::lab=debug\n");
    host.until_generation(3).await;
    until_logged(&host, "DEBUG app_lib::lab: in detail two").await;
    let heard = host.log().matches("ordered two").count();
    assert_eq!(heard, 1, "only that of generation 2: {}", host.log());
    host.checkout.write(".env", "RUST_LOG=shop=loud\n");
    until_logged(&host, "WARN RUST_LOG: error parsing level filter").await;
}

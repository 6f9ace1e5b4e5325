//! Code of earlier generations is kept, counted, and bounded by a restart under the same PID.

use std::{fs, sync::Arc, sync::atomic::AtomicBool, sync::atomic::Ordering::Relaxed};

use futures_util::StreamExt;

use crate::support::{Checkout, Host, client, eventually};

/// Of which three images are past one megabyte: references are what is relocated.
fn table(generation: u64) -> String {
    format!(
        r#"static TABLE: [&str; 25_000] = ["{generation}"; 25_000];
        Router::new()
            .route("/lab", get(async || TABLE[std::hint::black_box(0)]))
            .route("/slow", get(async || {{ gate("open").await; TABLE[std::hint::black_box(0)] }}))
            .route("/stream", get(async |State(app): State<AppState>| {{
                use futures_util::StreamExt;
                let first = futures_util::stream::iter([Ok::<_, std::io::Error>("first")]);
                Body::from_stream(first.chain(futures_util::stream::pending()).take_until(app.shutdown.cancelled_owned()))
            }}))"#
    )
}

async fn start(environment: &[(&str, &str)]) -> Host {
    let checkout = Checkout::new();
    checkout.add_lab(&table(1));
    Host::start_in(checkout, environment).await
}

/// Saves, and waits until what all the images keep is known.
async fn reload(host: &Host, generation: u64) -> i64 {
    host.checkout.write_lab(&table(generation));
    host.until_generation(generation).await;
    measured(host, generation.cast_signed()).await
}

async fn measured(host: &Host, images: i64) -> i64 {
    let status = host
        .until(&format!("{images} images"), |status| {
            status.number("/images/kept") == images
        })
        .await;
    status.number("/images/memory_kb")
}

#[tokio::test]
async fn past_the_budget_the_host_starts_again_and_fails_no_request() {
    let host = start(&[("HOST_KEEP_MEMORY_MB", "1")]).await;
    let (before, postmaster) = (host.status().await, host.postmaster());
    assert_eq!(before.number("/images/budget_mb"), 1);
    let one = measured(&host, 1).await;
    assert!((400..512).contains(&one), "{one} KB");

    // A new connection for each request, all the time: any refusal is an error here.
    let over = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let (over, client, url) = (over.clone(), client(), host.url("/lab"));
        async move {
            while !over.load(Relaxed) {
                let answer = client.get(&url).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    });
    let two = reload(&host, 2).await;
    assert!((2 * one - 64..=2 * one + 64).contains(&two), "{one}, {two}");
    host.checkout.write_lab(&table(3));
    let after = host
        .until("the next process", |status| {
            status.number("/restarts") == 1 && status.phase() == "active"
        })
        .await;
    assert_eq!(after.number("/host_pid"), before.number("/host_pid"));
    assert_eq!(
        after.generation(),
        4,
        "ids go on: one of the save, one of the restart"
    );
    assert_eq!(host.text("/lab").await, "3", "the same code");
    assert_eq!(after.number("/reloads/failed"), 0);
    let why = after.0["restarted"].as_str().unwrap();
    assert!(why.starts_with("kept code of 3 reloads uses 1 MB"), "{why}");
    assert_eq!(host.postmaster(), postmaster, "the cluster stays up");
    assert!(
        (one - 64..=one + 64).contains(&measured(&host, 1).await),
        "counted again"
    );
    over.store(true, Relaxed);
    load.await.unwrap();
    let log = host.log();
    assert!(log.contains("uses 1 MB: restarting"), "{log}");
}

#[tokio::test]
async fn a_request_under_way_is_waited_for() {
    let host = start(&[("HOST_KEEP_MEMORY_MB", "1"), ("DRAIN_TIMEOUT_MS", "60000")]).await;
    let slow = tokio::spawn(host.client.get(host.url("/slow")).send());
    host.until("the request inside", |status| {
        status.of_generation(1) == Some(("active", 1))
    })
    .await;
    for generation in 2..=4 {
        reload(&host, generation).await;
    }
    let status = host.status().await;
    assert!(status.number("/images/memory_kb") > 1 << 10);
    assert_eq!(
        (status.number("/restarts"), status.of_generation(1)),
        (0, Some(("draining", 1)))
    );
    host.checkout.write("open", "");
    assert_eq!(slow.await.unwrap().unwrap().text().await.unwrap(), "1");
    host.until("the next process", |status| status.number("/restarts") == 1)
        .await;
}

#[tokio::test]
async fn a_stream_does_not_put_it_off_for_ever() {
    let host = start(&[("HOST_KEEP_MEMORY_MB", "1"), ("DRAIN_TIMEOUT_MS", "200")]).await;
    for generation in 2..=3 {
        if generation == 3 {
            // Opened again whenever it ends, as a browser does.
            let (client, url) = (client(), host.url("/stream"));
            tokio::spawn(async move {
                while let Ok(answer) = client.get(&url).send().await {
                    answer.bytes_stream().for_each(async |_| {}).await;
                }
            });
            host.until("the stream", |status| {
                status.of_generation(2) == Some(("active", 1))
            })
            .await;
        }
        host.checkout.write_lab(&table(generation));
        host.until("the save", |status| status.generation() >= generation)
            .await;
    }
    host.until("the next process", |status| {
        status.number("/restarts") == 1 && status.phase() == "active"
    })
    .await;
}

#[tokio::test]
async fn what_the_next_process_would_stumble_over_is_mended_first() {
    let host = start(&[("HOST_KEEP_MEMORY_MB", "1")]).await;
    host.checkout.write(".env", "DRAIN_TIMEOUT_MS=soon\n");
    reload(&host, 2).await;
    reload(&host, 3).await;
    eventually("the refusal", async || {
        host.log().contains("a restart would fail").then_some(())
    })
    .await;
    assert_eq!(host.log().matches("a restart would fail").count(), 1);
    fs::remove_file(host.checkout.path(".env")).unwrap();
    host.checkout.write_lab(&table(4));
    host.until("the next process", |status| status.number("/restarts") == 1)
        .await;
    assert_eq!(host.text("/lab").await, "4");
}

#[tokio::test]
async fn without_a_limit_and_within_it_everything_is_kept() {
    let host = start(&[("HOST_KEEP_MEMORY_MB", "0")]).await;
    for generation in 2..=4 {
        reload(&host, generation).await;
    }
    let status = host.status().await;
    assert!(status.number("/images/memory_kb") > 1 << 10);
    assert!(status.0["images"]["budget_mb"].is_null());
    assert_eq!(status.number("/restarts"), 0);
    assert!(status.0["restarted"].is_null());
}

/// Sixty megabytes of a static, or of what ends with its generation.
fn heap(generation: u64, of_a_static: bool) -> String {
    let place = match of_a_static {
        true => "LEAK.get_or_init(|| vec![1_u8; 60 << 20]).len()",
        false => "std::sync::Arc::new(vec![1_u8; 60 << 20])",
    };
    let answer = match of_a_static {
        true => "kept",
        false => "kept.len()",
    };
    format!(
        r#"static LEAK: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        std::hint::black_box(&LEAK);
        let kept = {place};
        Router::new().route("/lab", get(async move || format!("{generation} {{}}", {answer})))"#
    )
}

#[tokio::test]
async fn what_statics_of_old_code_keep_on_the_heap_counts_too() {
    let checkout = Checkout::new();
    checkout.add_lab(&heap(1, false));
    let host = Host::start_in(checkout, &[("HOST_KEEP_MEMORY_MB", "100")]).await;
    measured(&host, 1).await;
    let mut kept = 0;
    for generation in 2..=4 {
        host.checkout.write_lab(&heap(generation, false));
        host.until_generation(generation).await;
        kept = measured(&host, generation.cast_signed()).await;
    }
    assert!(kept < 100 << 10, "it was given back: {kept} KB");
    for generation in 5..=8 {
        host.checkout.write_lab(&heap(generation, true));
        host.until("the save", |status| status.generation() >= generation)
            .await;
    }
    host.until("the next process", |status| {
        status.number("/restarts") == 1 && status.phase() == "active"
    })
    .await;
    let log = host.log();
    assert!(log.contains("have left on the heap uses 1"), "{log}");
    assert_eq!(host.text("/lab").await, format!("8 {}", 60 << 20));
}

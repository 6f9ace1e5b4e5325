//! What passes between a client and the app.

use reqwest::StatusCode;

use crate::support::{Host, lab};

#[tokio::test]
async fn what_the_database_said_is_logged_and_not_sent() {
    let host = Host::start().await;
    host.observe()
        .await
        .batch_execute("ALTER TABLE counter RENAME TO secret_table")
        .await
        .unwrap();
    let answer = host.get("/api/counters").await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!answer.text().await.unwrap().contains("relation"));
    let log = host.log();
    assert!(
        log.contains(" ERROR app_lib::error: 42P01: relation \"counter\" does not exist")
            && !log.contains("ERROR ERROR"),
        "with its code, and its severity once: {log}"
    );
}

#[tokio::test]
async fn http_2_and_large_bodies_pass_through() {
    let host = Host::with_built_lab(lab!(r#"Router::new().route("/count", post(async |body: Body| {
            use futures_util::TryStreamExt;
            body.into_data_stream().try_fold(0, async |n, chunk| Ok(n + chunk.len())).await.unwrap().to_string()
        })).route("/large", get(async || vec![b'x'; 5 << 20]))"#))
    .await;
    let http2 = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    for (client, version) in [
        (&host.client, reqwest::Version::HTTP_11),
        (&http2, reqwest::Version::HTTP_2),
    ] {
        // Larger than axum's limit for collected bodies, and streamed: nothing on the way may collect it.
        let chunks = (0..50).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 1 << 20]));
        let sent = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
        let answer = client
            .post(host.url("/count"))
            .body(sent)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.version(), version);
        assert_eq!(answer.text().await.unwrap(), (50 << 20).to_string());
        let large = client.get(host.url("/large")).send().await.unwrap();
        assert_eq!(large.content_length(), Some(5 << 20));
        assert_eq!(large.bytes().await.unwrap().len(), 5 << 20);
    }
}

//! Traces: what a collector gets of a request, and that nobody waits for it.

use std::time::{Duration, Instant};

use super::{built_with_traces, serving::Serving};
use crate::support::{Collector, SILENT, Server, client, eventually};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = (0..hex.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

/// A process that sends there, and no metrics.
async fn traced(server: &Server, endpoint: &str, more: &[(&str, &str)]) -> Serving {
    let (checkout, binary) = built_with_traces();
    let mut settings = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_SERVICE_NAME", "the shop"),
    ];
    settings.extend(more);
    Serving::start_by(checkout.command(binary), server, &settings).await
}

async fn ask(serving: &Serving, path: &str) -> u16 {
    let request = client().get(format!("{}{path}", serving.base));
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let answer = request.header("traceparent", traceparent).send().await;
    answer.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_collector_gets_a_span_for_each_request_by_the_end() {
    let server = Server::start().await;
    let collector = Collector::start(200).await;
    let endpoint = collector.endpoint.replace("://", "://me:hunter2@");
    let headers = [("OTEL_EXPORTER_OTLP_HEADERS", "x-key=of%20the%20shop")];
    let serving = traced(&server, &endpoint, &headers).await;
    assert_eq!(ask(&serving, "/item/7?key=secret").await, 200);
    assert_eq!(ask(&serving, "/panic").await, 500);
    let made_up = reqwest::Method::from_bytes(b"MADEUP").unwrap();
    let made_up = client().request(made_up, format!("{}/item/3", serving.base));
    assert_eq!(made_up.send().await.unwrap().status(), 405);
    serving.terminate(); // before the next batch
    let (status, said) = serving.ended().await;
    assert!(status.success(), "{said}");

    let item = collector.span("GET /item/{id}");
    assert_eq!((item.trace, item.parent), (bytes(TRACE), bytes(PARENT)));
    assert_eq!((item.kind, &item.error), (2, &None));
    assert_eq!(item.resource["service.name"], "the shop");
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/item/{id}"),
        ("url.path", "/item/7"),
        ("url.scheme", "http"),
    ] {
        assert_eq!(item.attributes[key], value, "{:?}", item.attributes);
    }
    let panicked = collector.span("GET /panic");
    assert_eq!(panicked.get("http.response.status_code"), "500");
    assert_eq!(panicked.get("error.type"), "500");
    assert!(panicked.error.is_some(), "{panicked:?}");
    let made_up = collector.span("HTTP /item/{id}");
    assert_eq!(made_up.get("http.request.method"), "_OTHER");
    let all = format!("{:?}", collector.spans());
    assert!(!all.contains("secret"), "{all}");

    for received in collector.received() {
        assert_eq!(received.path, "/v1/traces");
        assert_eq!(received.headers["content-type"], "application/x-protobuf");
        assert_eq!(received.headers["x-key"], "of the shop");
        assert_eq!(received.headers["authorization"], "Basic bWU6aHVudGVyMg==");
    }
    assert!(!said.contains("hunter2"), "{said}");
    // What a handler logs belongs to its span, and the log shows it as without traces.
    assert!(said.contains("INFO app_lib::lab: in app()"), "{said}");
}

#[tokio::test]
async fn a_collector_is_reached_by_https_if_its_certificate_is_trusted() {
    let server = Server::start().await;
    let collector = Collector::start_with_tls().await;
    let root = collector.root.to_str().unwrap();
    for (trusted, arrives) in [
        (vec![("OTEL_EXPORTER_OTLP_CERTIFICATE", root)], 1),
        (vec![], 0),
    ] {
        let before = collector.spans().len();
        let serving = traced(&server, &collector.endpoint, &trusted).await;
        assert_eq!(ask(&serving, "/item/7").await, 200);
        serving.terminate();
        let (status, said) = serving.ended().await;
        assert!(status.success(), "{said}");
        assert_eq!(collector.spans().len() - before, arrives, "{said}");
        let refused =
            "does not take traces: its certificate is not signed by a root that is trusted";
        assert_eq!(said.contains(refused), arrives == 0, "{said}");
    }
}

#[tokio::test]
async fn a_collector_that_does_not_answer_holds_nobody_up() {
    let server = Server::start().await;
    let collector = Collector::start(SILENT).await;
    let serving = traced(&server, &collector.endpoint, &[]).await;
    assert_eq!(ask(&serving, "/item/7").await, 200);
    let since = Instant::now();
    serving.terminate();
    let (status, said) = serving.ended().await;
    assert!(status.success(), "{said}");
    assert!(since.elapsed() < Duration::from_secs(20), "{said}");
    assert!(!collector.received().is_empty(), "it was asked");
    assert!(
        said.contains("the last traces may not have reached the collector"),
        "{said}"
    );
}

#[tokio::test]
async fn that_a_collector_refuses_is_said_once_and_that_it_takes_them_again() {
    let server = Server::start().await;
    let collector = Collector::start(400).await;
    let often = [("OTEL_BSP_SCHEDULE_DELAY", "20")];
    let serving = traced(&server, &collector.endpoint, &often).await;
    for times in 1..=4 {
        assert_eq!(ask(&serving, "/item/7").await, 200);
        collector.until_asked(times).await;
    }
    collector.answer(200);
    ask(&serving, "/item/7").await;
    eventually("it to be said", async || {
        let again = format!(
            "the collector at {}/v1/traces takes traces again",
            collector.endpoint
        );
        serving.said().contains(&again).then_some(())
    })
    .await;
    serving.terminate();
    let (status, said) = serving.ended().await;
    assert!(status.success(), "{said}");
    let refused = "does not take traces: it answers 400 Bad Request";
    assert_eq!(said.matches(refused).count(), 1, "{said}");
    assert!(
        !said.contains("ExportError") && !said.contains("Export.Failed"),
        "{said}"
    );
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_at_the_start() {
    let server = Server::start().await;
    let (checkout, binary) = built_with_traces();
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
    let refused = checkout
        .command(binary)
        .args(["serve", "--port", "0"])
        .env("DATABASE_URL", url)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("cannot send traces to collector:4317")
            && said.contains("needs an http:// or https:// address"),
        "{said}"
    );
}

#[tokio::test]
async fn without_the_feature_the_variable_is_a_warning() {
    let server = Server::start().await;
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")];
    let serving = Serving::start(&server, &settings).await;
    let said = serving.said();
    let wanted = "OTEL_EXPORTER_OTLP_ENDPOINT is set, but nothing is sent there: build the package host with its feature `otlp`";
    assert!(said.contains(wanted), "{said}");
}

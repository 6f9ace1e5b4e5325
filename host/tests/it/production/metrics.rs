//! Metrics: what is counted by which name, and that Prometheus reads it.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use super::serving::{Serving, text_at};
use crate::support::{Server, client, eventually};

/// Where the process says that its metrics are.
fn address(serving: &Serving) -> String {
    let said = serving.said();
    let (_, rest) = said.split_once("metrics at ").expect("it says where");
    rest.lines().next().unwrap().to_owned()
}

/// The value of a line that begins like this.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    let line = line.unwrap_or_else(|| panic!("no {series} in\n{text}"));
    line.trim().parse().unwrap()
}

#[tokio::test]
async fn requests_are_counted_by_route_and_prometheus_can_read_it() {
    let server = Server::start().await;
    let settings = [("HTTP_METRICS_ADDRESS", "127.0.0.1:0")];
    let serving = Serving::start(&server, &settings).await;
    let metrics = address(&serving);
    for path in [
        "/api/ping",
        "/item/1",
        "/item/2",
        "/none/1",
        "/none/2",
        "/panic",
    ] {
        serving.get(path).await;
    }
    let made_up = reqwest::Method::from_bytes(b"MADEUP").unwrap();
    let made_up = client().request(made_up, format!("{}/item/3", serving.base));
    assert_eq!(made_up.send().await.unwrap().status(), 405);
    let text = eventually("all to be counted", async || {
        let text = text_at(&metrics).await;
        (value(&text, "http_requests_in_flight") == 0.0).then_some(text)
    })
    .await;
    let requests = |method: &str, route: &str, status: &str| {
        let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
        value(&text, &format!("http_requests_total{{{labels}}}"))
    };
    assert_eq!(requests("GET", "/api/ping", "200"), 1.0);
    assert_eq!(requests("GET", "/item/{id}", "200"), 2.0);
    assert_eq!(requests("GET", "unmatched", "404"), 2.0);
    assert_eq!(requests("GET", "/panic", "500"), 1.0);
    assert_eq!(requests("other", "/item/{id}", "405"), 1.0);
    assert!(
        !text.contains("/item/1") && !text.contains("MADEUP"),
        "{text}"
    );
    let durations =
        "http_request_duration_seconds_count{method=\"GET\",route=\"/item/{id}\",status=\"200\"}";
    assert_eq!(value(&text, durations), 2.0);
    assert_eq!(value(&text, "http_connections_max"), 512.0);
    assert_eq!(value(&text, "database_connections_open"), 1.0);
    assert_eq!(value(&text, "database_connections_opened_total"), 1.0);
    assert!(value(&text, "database_uses_total") >= 1.0);
    assert!(text.contains("host_build_info{version=\""));
    is_taken_by_promtool(&text);

    let probe = metrics.replace("/metrics", "/readyz");
    assert_eq!(text_at(&probe).await, "ok\n");

    // Not for the public, and only there.
    assert_eq!(serving.get("/metrics").await.0, 404);
}

#[tokio::test]
async fn what_is_under_way_is_seen_until_its_last_byte_or_until_the_client_leaves() {
    let server = Server::start().await;
    let settings = [("HTTP_METRICS_ADDRESS", "127.0.0.1:0")];
    let serving = Serving::start(&server, &settings).await;
    let metrics = address(&serving);
    let url = |path: &str| format!("{}{path}", serving.base);
    let in_flight = async |wanted: f64| {
        eventually(&format!("{wanted} in flight"), async || {
            let text = text_at(&metrics).await;
            (value(&text, "http_requests_in_flight") == wanted).then_some(text)
        })
        .await
    };
    let mut streamed = client().get(url("/streamed")).send().await.unwrap();
    assert_eq!(streamed.chunk().await.unwrap().unwrap(), "first");
    let slow = tokio::spawn(client().get(url("/slow")).send());
    let text = in_flight(2.0).await;
    assert_eq!(value(&text, "http_connections_open"), 2.0);
    assert!(!text.contains("route=\"/streamed\""), "it has not ended");
    slow.abort();
    let text = in_flight(1.0).await;
    let left = "http_requests_total{method=\"GET\",route=\"/slow\",status=\"499\"}";
    assert_eq!(value(&text, left), 1.0);
    std::fs::write(serving.folder.path().join("open"), "").unwrap();
    assert_eq!(streamed.chunk().await.unwrap().unwrap(), "last");
    assert_eq!(streamed.chunk().await.unwrap(), None);
    let text = in_flight(0.0).await;
    let ended = "http_requests_total{method=\"GET\",route=\"/streamed\",status=\"200\"}";
    assert_eq!(value(&text, ended), 1.0);
}

fn is_taken_by_promtool(text: &str) {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        eprintln!("no promtool: the metrics are not checked (apt-get install prometheus)");
        return;
    };
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let checked = promtool.wait_with_output().unwrap();
    let said = [checked.stdout, checked.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        checked.status.success() && said.is_empty(),
        "{said}\n{text}"
    );
}

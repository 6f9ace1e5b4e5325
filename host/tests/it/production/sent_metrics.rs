//! Metrics as a collector gets them: the figures that Prometheus reads, in OpenTelemetry's names.

use std::collections::BTreeSet;

use super::{built_with_traces, serving::Serving};
use crate::support::{Collector, Message, Server, attributes, eventually};

/// A process that sends there often.
async fn sending(server: &Server, collector: &Collector, more: &[(&str, &str)]) -> Serving {
    let (checkout, binary) = built_with_traces();
    let mut settings = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=of%20the%20shop"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
        ("OTEL_SERVICE_NAME", "the shop"),
    ];
    settings.extend(more);
    Serving::start_by(checkout.command(binary), server, &settings).await
}

/// Of a sum: its only point. Whether it may fall, and the value.
fn sum(metric: &Message) -> (bool, u64) {
    let sum = metric.message(7);
    assert_eq!(sum.number(2), Some(2), "cumulative: {sum:?}");
    let [point] = &sum.messages(1)[..] else {
        panic!("not one point in {sum:?}");
    };
    (sum.number(3) != Some(1), point.number(6).unwrap())
}

#[tokio::test]
async fn a_collector_gets_what_prometheus_reads() {
    let server = Server::start().await;
    let collector = Collector::start(200).await;
    let traces = [("OTEL_TRACES_EXPORTER", "none")];
    let serving = sending(&server, &collector, &traces).await;
    for path in ["/item/1", "/item/2", "/none/1", "/panic", "/api/ping"] {
        serving.get(path).await;
    }
    serving.terminate(); // what has not been sent yet comes at the end
    let (status, said) = serving.ended().await;
    assert!(status.success(), "{said}");

    let metrics = collector.metrics();
    let names: BTreeSet<&str> = metrics.keys().map(String::as_str).collect();
    let wanted = [
        "db.client.connection.count",
        "db.client.connection.lost",
        "db.client.connection.max",
        "db.client.connection.opened",
        "db.client.connection.pending_requests",
        "db.client.connection.uses",
        "http.server.active_requests",
        "http.server.connection.count",
        "http.server.connection.max",
        "http.server.request.duration",
    ];
    assert_eq!(names, BTreeSet::from(wanted), "{said}");
    assert_eq!(sum(&metrics["http.server.active_requests"]), (true, 0));
    assert_eq!(sum(&metrics["http.server.connection.max"]), (true, 512));
    assert_eq!(sum(&metrics["db.client.connection.opened"]), (false, 1));

    let durations = &metrics["http.server.request.duration"];
    assert_eq!(durations.text(3), "s");
    let histogram = durations.message(9);
    assert_eq!(histogram.number(2), Some(2), "cumulative");
    let mut counted = BTreeSet::new();
    for point in histogram.messages(1) {
        let (count, buckets) = (point.number(4).unwrap(), point.packed(6));
        assert_eq!(buckets.iter().sum::<u64>(), count, "{point:?}");
        assert_eq!(buckets.len(), point.packed(7).len() + 1, "{point:?}");
        assert!(
            point.number(2) < point.number(3),
            "a start before now: {point:?}"
        );
        let labels = attributes(&point, 9);
        let labels: Vec<String> = labels
            .iter()
            .map(|(key, it)| format!("{key}={it}"))
            .collect();
        counted.insert((labels.join(" "), count));
    }
    let series = |more: &str, status: u16, route: &str, count: u64| {
        let common = format!("http.request.method=GET http.response.status_code={status}");
        (format!("{more}{common}{route} url.scheme=http"), count)
    };
    let wanted = [
        series("", 200, " http.route=/api/ping", 1),
        series("", 200, " http.route=/item/{id}", 2),
        series("", 404, "", 1),
        series("error.type=500 ", 500, " http.route=/panic", 1),
    ];
    assert_eq!(counted, BTreeSet::from(wanted));

    for received in collector.received() {
        assert_eq!(received.path, "/v1/metrics");
        assert_eq!(received.headers["x-key"], "of the shop");
        let resource = attributes(&received.body.message(1).message(1), 1);
        assert_eq!(resource["service.name"], "the shop");
    }
}

#[tokio::test]
async fn metrics_are_sent_again_and_again_unless_they_are_not_wanted() {
    let server = Server::start().await;
    let collector = Collector::start(200).await;
    let serving = sending(&server, &collector, &[]).await;
    serving.get("/item/1").await;
    let paths = || -> BTreeSet<String> {
        let all = collector.received();
        all.iter().map(|received| received.path.clone()).collect()
    };
    eventually("the request to be in them", async || {
        let metrics = collector.metrics();
        let histogram = metrics.get("http.server.request.duration")?.message(9);
        (!histogram.messages(1).is_empty()).then_some(())
    })
    .await;
    collector.until_asked(3).await;
    serving.terminate();
    serving.ended().await;
    assert_eq!(paths().len(), 2, "traces too: {:?}", paths());

    let quiet = Collector::start(200).await;
    let unwanted = [("OTEL_METRICS_EXPORTER", "none")];
    let serving = sending(&server, &quiet, &unwanted).await;
    serving.get("/item/1").await;
    serving.terminate();
    let (status, said) = serving.ended().await;
    assert!(status.success(), "{said}");
    let all = quiet.received();
    assert!(
        !all.is_empty() && all.iter().all(|it| it.path == "/v1/traces"),
        "{all:?}"
    );
}

//! The metrics in OpenTelemetry's words: names and labels as its conventions have them, where they have any.
//!
//! Nothing is counted here. What Prometheus would read is read, and said in another way: a cumulative sum is the same for
//! both, and so is a bucket, but for the sum over those before it.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    metrics::v1::{
        AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
        metric::Data, number_data_point,
    },
};
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};

use super::{span, watch::UNMATCHED};

/// Prometheus' name, that of the conventions or in their style, and the unit.
const NAMES: [(&str, &str, &str); 10] = [
    (
        "http_request_duration_seconds",
        "http.server.request.duration",
        "s",
    ),
    (
        "http_requests_in_flight",
        "http.server.active_requests",
        "{request}",
    ),
    (
        "http_connections_open",
        "http.server.connection.count",
        "{connection}",
    ),
    (
        "http_connections_max",
        "http.server.connection.max",
        "{connection}",
    ),
    (
        "database_connections_open",
        "db.client.connection.count",
        "{connection}",
    ),
    (
        "database_connections_max",
        "db.client.connection.max",
        "{connection}",
    ),
    (
        "database_waiting",
        "db.client.connection.pending_requests",
        "{request}",
    ),
    (
        "database_connections_opened_total",
        "db.client.connection.opened",
        "{connection}",
    ),
    (
        "database_connections_lost_total",
        "db.client.connection.lost",
        "{connection}",
    ),
    ("database_uses_total", "db.client.connection.uses", "{use}"),
];

/// All of it, of a process that began then.
pub(super) fn translated(families: &[MetricFamily], since: SystemTime) -> Vec<Metric> {
    let times = (nanoseconds(since), nanoseconds(SystemTime::now()));
    families
        .iter()
        .filter_map(|family| metric(family, times))
        .collect()
}

/// `None` for what is part of another.
fn metric(family: &MetricFamily, times: (u64, u64)) -> Option<Metric> {
    let (_, name, unit) = NAMES.iter().find(|(name, ..)| *name == family.name())?;
    let all = family.get_metric();
    let data = match family.get_field_type() {
        MetricType::HISTOGRAM => Data::Histogram(Histogram {
            data_points: all.iter().map(|one| histogram(one, times)).collect(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        }),
        kind => Data::Sum(Sum {
            data_points: all.iter().map(|one| number(one, kind, times)).collect(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: kind == MetricType::COUNTER,
        }),
    };
    Some(Metric {
        name: (*name).to_owned(),
        description: family.help().to_owned(),
        unit: (*unit).to_owned(),
        data: Some(data),
        ..Default::default()
    })
}

fn histogram(one: &proto::Metric, (since, now): (u64, u64)) -> HistogramDataPoint {
    let histogram = one.get_histogram();
    let mut before = 0;
    let mut alone = |up_to: u64| up_to - std::mem::replace(&mut before, up_to);
    // The last one, up to infinity, has no bound.
    let buckets = histogram
        .get_bucket()
        .iter()
        .filter(|it| it.upper_bound().is_finite());
    let (explicit_bounds, mut bucket_counts): (Vec<f64>, Vec<u64>) = buckets
        .map(|bucket| (bucket.upper_bound(), alone(bucket.cumulative_count())))
        .unzip();
    bucket_counts.push(alone(histogram.get_sample_count()));
    HistogramDataPoint {
        attributes: attributes(one.get_label()),
        start_time_unix_nano: since,
        time_unix_nano: now,
        count: histogram.get_sample_count(),
        sum: Some(histogram.get_sample_sum()),
        bucket_counts,
        explicit_bounds,
        ..Default::default()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "counters and gauges of whole numbers"
)]
fn number(one: &proto::Metric, kind: MetricType, (since, now): (u64, u64)) -> NumberDataPoint {
    let value = match kind {
        MetricType::COUNTER => one.get_counter().get_value(),
        _ => one.get_gauge().get_value(),
    };
    NumberDataPoint {
        attributes: attributes(one.get_label()),
        start_time_unix_nano: since,
        time_unix_nano: now,
        value: Some(number_data_point::Value::AsInt(value as i64)),
        ..Default::default()
    }
}

fn attributes(labels: &[LabelPair]) -> Vec<KeyValue> {
    let text = |key, value: &str| pair(key, Value::StringValue(value.to_owned()));
    let mut attributes = Vec::new();
    for label in labels {
        match (label.name(), label.value()) {
            ("method", method) => {
                attributes.push(text("http.request.method", span::conventional(method)));
                attributes.push(text("url.scheme", span::SCHEME));
            }
            ("route", UNMATCHED) => {}
            ("route", route) => attributes.push(text("http.route", route)),
            ("status", status) => {
                let number = status.parse().unwrap_or_default();
                attributes.push(pair("http.response.status_code", Value::IntValue(number)));
                if number >= 500 {
                    attributes.push(text("error.type", status));
                }
            }
            (other, value) => attributes.push(text(other, value)),
        }
    }
    attributes
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..Default::default()
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

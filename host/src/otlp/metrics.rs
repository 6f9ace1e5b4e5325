//! Sends metrics to a collector, every `OTEL_METRIC_EXPORT_INTERVAL` and once at the end.
//!
//! Owns when they are sent and what is around them. Which they are, and their values, is read each time, so nothing
//! is counted here. What does not arrive is not sent again: the next time says more.

use std::{
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

use axum::http::{Request, header::CONTENT_TYPE};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::InstrumentationScope,
    metrics::v1::{Metric, ResourceMetrics, ScopeMetrics},
    resource::v1::Resource,
};
use percent_encoding::percent_decode_str;
use prost::Message;
use shared::BoxError;
use tokio::sync::oneshot;

use super::{
    LAST,
    signal::{Destination, Signal, variable},
};

const METRICS: Signal = Signal {
    name: "metrics",
    upper: "METRICS",
};

/// What OpenTelemetry's crates take without the variable.
const INTERVAL: Duration = Duration::from_secs(60);

/// The way to the collector.
pub(crate) struct Metrics {
    to: Destination,
    /// Sent with each request.
    headers: Vec<(String, String)>,
    interval: Duration,
}

/// Metrics that are sent until [`end_of`](Self::end_of), by a thread of their own.
pub(crate) struct Sending {
    /// Dropped to end it.
    stop: Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Metrics {
    /// Connects when the first are sent. `None` if no metrics are wanted, or there is no endpoint.
    pub(crate) fn of(endpoint: Option<&str>) -> Result<Option<Self>, BoxError> {
        let interval = variable("OTEL_METRIC_EXPORT_INTERVAL").and_then(|set| set.parse().ok());
        let interval = interval.filter(|set| *set > 0).map(Duration::from_millis);
        let to = endpoint.map(|endpoint| METRICS.destination(endpoint));
        Ok(to.transpose()?.flatten().map(|to| Self {
            to,
            headers: headers(),
            interval: interval.unwrap_or(INTERVAL),
        }))
    }

    /// Sends what `read` returns. The first are sent after one interval.
    pub(crate) fn send(
        self,
        read: impl Fn() -> Vec<Metric> + Send + 'static,
    ) -> Result<Sending, BoxError> {
        let (stop, stopped) = mpsc::channel();
        let (done, ended) = oneshot::channel();
        let resource = Resource::from(&opentelemetry_sdk::Resource::builder().build());
        let sending = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(self.interval) {
                self.send_once(&resource, read());
            }
            self.send_once(&resource, read());
            drop(done);
        };
        thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(sending)?;
        Ok(Sending { stop, ended })
    }
}

impl Metrics {
    /// Blocks. The client says what has gone wrong.
    fn send_once(&self, resource: &Resource, metrics: Vec<Metric>) {
        let scope = InstrumentationScope {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Default::default()
        };
        let of_scope = ScopeMetrics {
            scope: Some(scope),
            metrics,
            ..Default::default()
        };
        let of_process = ResourceMetrics {
            resource: Some(resource.clone()),
            scope_metrics: vec![of_scope],
            ..Default::default()
        };
        let all = ExportMetricsServiceRequest {
            resource_metrics: vec![of_process],
        };
        let mut request =
            Request::post(&self.to.address).header(CONTENT_TYPE, "application/x-protobuf");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let sent = request
            .body(all.encode_to_vec().into())
            .map(|request| self.to.client.send(request));
        if let Err(unusable) = sent {
            tracing::warn!("cannot send metrics: OTEL_EXPORTER_OTLP_HEADERS: {unusable}");
        }
    }
}

/// `name=value,name=value`, the values percent-encoded.
fn headers() -> Vec<(String, String)> {
    let (_, set) = METRICS.setting("HEADERS").unwrap_or_default();
    let read = |(name, value): (&str, &str)| {
        let value = percent_decode_str(value.trim()).decode_utf8_lossy();
        (name.trim().to_owned(), value.into_owned())
    };
    let pairs = set.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(read).collect()
}

impl Sending {
    /// Sends the last, within a limit.
    pub(crate) async fn end_of(sending: Option<Self>) {
        let Some(Self { stop, ended }) = sending else {
            return;
        };
        drop(stop);
        if tokio::time::timeout(LAST, ended).await.is_err() {
            tracing::warn!(
                "the last metrics may not have reached the collector: it did not answer within {} ms",
                LAST.as_millis()
            );
        }
    }
}

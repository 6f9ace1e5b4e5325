//! Sends traces to a collector, by OTLP over HTTP: a span for each request, and below it what the app makes with
//! `tracing`.
//!
//! Owns the connection to the collector and its end. The crates of OpenTelemetry read the rest of its variables, such as
//! `OTEL_SERVICE_NAME`. Requests do not wait for the collector: spans go through a queue, and are dropped if it is full.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::trace::SdkTracerProvider;
use shared::{BoxError, env::without_user};
use tracing::Level;
use tracing_subscriber::{Layer, Registry, filter::Targets};

use super::span;

/// How long the collector may take for what is left at the end.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// OpenTelemetry's variable for traces alone.
const FOR_TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

/// The way to the collector.
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Connects when the first spans are sent.
    pub(super) fn new(endpoint: &str) -> Result<Self, BoxError> {
        // More exact than `endpoint`, and the whole address.
        let for_traces = std::env::var(FOR_TRACES).ok().filter(|it| !it.is_empty());
        let (address, variable) = match for_traces {
            Some(address) => (address, FOR_TRACES),
            None => {
                let address = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
                (address, "OTEL_EXPORTER_OTLP_ENDPOINT")
            }
        };
        let shown = without_user(&address);
        if !address.starts_with("http://") {
            return Err(format!("cannot send traces to {shown} ({variable}): this needs an http:// address, such as that of a collector on this machine").into());
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&address)
            .build();
        let exporter = exporter.map_err(|error| {
            let error = error.to_string().replace(&address, &shown);
            format!("cannot send traces to {shown} ({variable}): {error}")
        })?;
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
        Ok(Self(provider.build()))
    }

    /// What hears the spans: those of requests, and the app's from `info` on.
    pub(super) fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        let heard = Targets::new()
            .with_default(Level::INFO)
            .with_target(span::TARGET, Level::TRACE);
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(env!("CARGO_PKG_NAME")))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(heard)
            .boxed()
    }

    /// Sends what is left, within a limit.
    pub(super) async fn end(self) {
        let ending = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(LAST_SPANS));
        let failed = match tokio::time::timeout(LAST_SPANS, ending).await {
            Ok(Ok(Ok(()))) => return,
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it did not answer within {} ms", LAST_SPANS.as_millis()),
        };
        tracing::warn!("the last traces may not have reached the collector: {failed}");
    }
}

//! Sends traces to a collector: in production spans made with `tracing`, in development those of the last requests.
//!
//! Owns the way to the collector and its end. The crates of OpenTelemetry read the rest of its variables, such as
//! `OTEL_SERVICE_NAME`. Spans go through a queue, and are dropped if it is full.

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::trace::SdkTracerProvider;
use shared::BoxError;
#[cfg(feature = "production")]
use {
    tracing::Level,
    tracing_subscriber::{Layer, Registry, filter::Targets},
};

use super::{LAST, signal::Signal};

const TRACES: Signal = Signal {
    name: "traces",
    upper: "TRACES",
};

/// Makes spans that are sent.
#[cfg(feature = "dev")]
pub(crate) type Tracer = opentelemetry_sdk::trace::SdkTracer;

/// The way to the collector.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Connects when the first spans are sent. `None` if no traces are wanted, or there is no endpoint.
    pub(crate) fn of(endpoint: Option<&str>) -> Result<Option<Self>, BoxError> {
        let to = endpoint.map(|endpoint| TRACES.destination(endpoint));
        let Some(to) = to.transpose()?.flatten() else {
            return Ok(None);
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(to.client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(to.address)
            .build()?;
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
        Ok(Some(Self(provider.build())))
    }

    /// For spans of requests that have ended.
    #[cfg(feature = "dev")]
    pub(crate) fn tracer(&self) -> Tracer {
        self.0.tracer(env!("CARGO_PKG_NAME"))
    }

    /// What hears the spans: those of the target `requests`, and the app's from `info` on.
    #[cfg(feature = "production")]
    pub(crate) fn layer(&self, requests: &'static str) -> Box<dyn Layer<Registry> + Send + Sync> {
        let heard = Targets::new()
            .with_default(Level::INFO)
            .with_target(requests, Level::TRACE);
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
    pub(crate) async fn end_of(traces: Option<Self>) {
        let Some(Self(provider)) = traces else { return };
        let ending = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST));
        let failed = match tokio::time::timeout(LAST, ending).await {
            Ok(Ok(Ok(()))) => return,
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it did not answer within {} ms", LAST.as_millis()),
        };
        tracing::warn!("the last traces may not have reached the collector: {failed}");
    }
}

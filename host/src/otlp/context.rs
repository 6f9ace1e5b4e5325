//! What OpenTelemetry wants to know of a request's span and `tracing` has no word for: the trace that the client has
//! begun, from its header `traceparent`, and a name that is known late.

use axum::http::{HeaderMap, HeaderName};
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
#[cfg(feature = "production")]
use {
    opentelemetry::trace::TraceContextExt, tracing::Span,
    tracing_opentelemetry::OpenTelemetrySpanExt,
};

/// The span of the client that these headers name; of nothing, if they name none.
pub(crate) fn parent(headers: &HeaderMap) -> Context {
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers))
}

/// Makes a request's span part of the trace that its client has begun, if it names one (`traceparent`).
#[cfg(feature = "production")]
pub(crate) fn continue_trace(span: &Span, headers: &HeaderMap) {
    let parent = parent(headers);
    if !parent.span().span_context().is_valid() {
        return;
    }
    if let Err(error) = span.set_parent(parent) {
        tracing::debug!("a trace is not continued: {error}");
    }
}

/// Renames a span.
#[cfg(feature = "production")]
pub(crate) fn rename(span: &Span, name: String) {
    span.context().span().update_name(name);
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

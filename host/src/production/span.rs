//! The span of a request, in the names of OpenTelemetry's conventions.

use axum::http::{Request, StatusCode};
use tracing::{Span, field::Empty};

/// Of these spans. They are at the level of traces, so that the log does not show them.
pub(super) const TARGET: &str = "http_request";

/// How others call a method that HTTP does not define; the conventions have a word of their own for it.
pub(super) const OTHER: &str = "other";

/// TLS is not ours.
pub(super) const SCHEME: &str = "http";

/// A method as the conventions have it.
pub(super) fn conventional(method: &str) -> &str {
    if method == OTHER { "_OTHER" } else { method }
}

/// What is known at the beginning.
pub(super) fn of<B>(request: &Request<B>, method: &str) -> Span {
    let span = tracing::trace_span!(
        target: TARGET,
        "request",
        otel.kind = "server",
        otel.name = name_of(method),
        otel.status_code = Empty,
        error.type = Empty,
        http.request.method = conventional(method),
        http.response.status_code = Empty,
        http.route = Empty,
        url.scheme = SCHEME,
        url.path = request.uri().path(),
    );
    #[cfg(feature = "otlp")]
    crate::otlp::continue_trace(&span, request.headers());
    span
}

/// The first word of a span's name.
fn name_of(method: &str) -> &str {
    if method == OTHER { "HTTP" } else { method }
}

/// What is known at the end.
#[cfg_attr(
    not(feature = "otlp"),
    expect(unused_variables, reason = "only a collector gets the name")
)]
pub(super) fn record(span: &Span, method: &str, route: Option<&str>, status: Option<StatusCode>) {
    if let Some(route) = route {
        span.record("http.route", route);
        #[cfg(feature = "otlp")]
        crate::otlp::rename(span, format!("{} {route}", name_of(method)));
    }
    if let Some(status) = status {
        span.record("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", status.as_str());
        }
    }
}

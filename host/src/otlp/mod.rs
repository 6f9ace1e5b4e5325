//! The way to a collector: OTLP over HTTP, by OpenTelemetry's own variables.
//!
//! Owns where the signals go and whether they are wanted, the HTTP client, and what is said when a collector does not
//! take them. Nobody waits for a collector, except at the end, for a limited time.

mod client;
mod context;
#[cfg(feature = "production")]
mod metrics;
mod signal;
mod traces;

#[cfg(feature = "dev")]
pub(crate) use context::parent;
#[cfg(feature = "production")]
pub(crate) use context::{continue_trace, rename};
#[cfg(feature = "production")]
pub(crate) use metrics::{Metrics, Sending};
#[cfg(feature = "dev")]
pub(crate) use traces::Tracer;
pub(crate) use traces::Traces;

use std::time::Duration;

/// How long the collector may take for what is left at the end.
const LAST: Duration = Duration::from_secs(3);

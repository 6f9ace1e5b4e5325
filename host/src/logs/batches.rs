//! Leaves out what OpenTelemetry's crates say of each batch that a collector does not take: every few seconds for as long
//! as it is down. `otlp` says it once, with the cause.

use tracing::{Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    filter::{FilterExt, filter_fn},
    layer::Filter,
};

/// What `filter` shows, without that.
pub(super) fn without<S: Subscriber>(filter: impl Filter<S>) -> impl Filter<S> {
    // Without the hint the level of `filter` would not be used as a short cut.
    filter.and(filter_fn(is_other).with_max_level_hint(LevelFilter::TRACE))
}

fn is_other(metadata: &Metadata<'_>) -> bool {
    let name = metadata.name();
    !name.starts_with("Export.Failed.") && name != "BatchSpanProcessor.ExportError"
}

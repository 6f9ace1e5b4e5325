//! How the host's own scripts and styles are sent.

use axum::{
    http::header,
    routing::{MethodRouter, get},
};
use bytes::Bytes;

/// Answers with this text, which is put together once. Not cached: the next host may have another.
pub(super) fn asset<S>(kind: &'static str, text: String) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let text = Bytes::from(text);
    get(async move || (headers, text))
}

//! The files of the app that are not code: read from disk in development, part of the binary in production.

use axum::{
    extract::Path,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use rust_embed::RustEmbed;

use crate::error;

#[derive(RustEmbed)]
#[folder = "static"]
struct Static;

#[derive(RustEmbed)]
#[folder = "templates"]
pub(crate) struct Templates;

/// `/static/…`
pub(crate) async fn serve(Path(file): Path<String>) -> Response {
    let Some(found) = Static::get(&file) else {
        return error::not_found().await.into_response();
    };
    let headers = [
        (CONTENT_TYPE, found.metadata.mimetype().to_owned()),
        (CACHE_CONTROL, "no-cache".to_owned()),
    ];
    (headers, found.data).into_response()
}

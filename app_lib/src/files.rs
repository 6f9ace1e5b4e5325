//! The files of the app that are not code: read from disk in development, part of the binary in production.

use std::sync::LazyLock;

use axum::{
    http::{
        Method, Uri,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{Html, IntoResponse, Response},
};
use minijinja::{Environment, Value};
use rust_embed::RustEmbed;

use crate::{error, extract::Path};

#[derive(RustEmbed)]
#[folder = "static"]
struct Static;

#[derive(RustEmbed)]
#[folder = "templates"]
struct Templates;

/// `/static/…`
pub(crate) async fn serve(Path(file): Path<String>, method: Method, uri: Uri) -> Response {
    let Some(found) = Static::get(&file) else {
        return error::unknown_route(method, uri).await.into_response();
    };
    let headers = [
        (CONTENT_TYPE, found.metadata.mimetype().to_owned()),
        (CACHE_CONTROL, "no-cache".to_owned()),
    ];
    (headers, found.data).into_response()
}

pub(crate) fn render(name: &str, values: Value) -> Result<Html<String>, minijinja::Error> {
    /// Parsed once in production. In development a template is read for each request, and so its edits are seen.
    static PARSED: LazyLock<Environment<'static>> = LazyLock::new(templates);
    let page = match cfg!(debug_assertions) {
        true => templates().get_template(name)?.render(values),
        false => PARSED.get_template(name)?.render(values),
    };
    Ok(Html(page?))
}

fn templates() -> Environment<'static> {
    let mut templates = Environment::new();
    templates.set_loader(|name| {
        let file = Templates::get(name);
        Ok(file.map(|file| String::from_utf8_lossy(&file.data).into_owned()))
    });
    templates
}

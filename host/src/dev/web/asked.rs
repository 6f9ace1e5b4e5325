//! What a client asked for, as far as the host answers in the app's stead.

use axum::http::{HeaderMap, Method, Request, header};

/// The part of a request that outlives it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: String,
    /// Names and values, secrets masked.
    pub(super) headers: Vec<(String, String)>,
    pub(super) wants: Wants,
    /// A whole page that a person waits for.
    pub(super) is_navigation: bool,
    /// By a script that puts the answer into a page.
    pub(super) is_part: bool,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    Html,
    Json,
    Text,
}

/// Their values let whoever reads them act for somebody else.
const SECRET: [&str; 4] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
];

impl Asked {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let headers = request.headers();
        let destination = text(headers, "sec-fetch-dest");
        let is_part = headers.contains_key("hx-request")
            || !matches!(destination, None | Some("document" | "iframe" | "frame"));
        let wants = wants(headers, request.uri().path());
        Self {
            method: request.method().clone(),
            target: request
                .uri()
                .path_and_query()
                .map_or_else(String::new, ToString::to_string),
            headers: headers
                .iter()
                .map(|(name, value)| {
                    let secret = SECRET.contains(&name.as_str());
                    let value = if secret {
                        "***".into()
                    } else {
                        String::from_utf8_lossy(value.as_bytes()).into_owned()
                    };
                    (name.to_string(), value)
                })
                .collect(),
            is_navigation: request.method() == Method::GET && wants == Wants::Html && !is_part,
            is_part,
            wants,
        }
    }

    /// Without the query.
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// By the `Accept` header; a client that takes anything gets JSON where the body it sent or the path says so.
fn wants(headers: &HeaderMap, path: &str) -> Wants {
    let accept = text(headers, header::ACCEPT.as_str()).unwrap_or_default();
    let sends_json = text(headers, header::CONTENT_TYPE.as_str())
        .is_some_and(|kind| kind.starts_with("application/json"));
    if accept.contains("text/html") {
        Wants::Html
    } else if accept.contains("json") || sends_json || path.starts_with("/api/") {
        Wants::Json
    } else {
        Wants::Text
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

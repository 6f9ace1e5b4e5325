//! What a client asked for, as far as the host answers in the app's stead.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName, Method, Request, Uri, header};

/// The part of a request that outlives it, as it came: whoever needs more of it works that out.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) uri: Uri,
    /// With its secrets.
    headers: HeaderMap,
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

const HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

impl Asked {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        }
    }

    /// What the client calls this host, with the port.
    pub(super) fn host(&self) -> &str {
        // HTTP/2 has it in the URI.
        let named = self.uri.authority().map(|authority| authority.as_str());
        named
            .or_else(|| text(&self.headers, header::HOST))
            .unwrap_or_default()
    }

    /// Path and query.
    pub(super) fn target(&self) -> &str {
        self.uri
            .path_and_query()
            .map_or("", |target| target.as_str())
    }

    /// Names and values, secrets masked.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        self.headers.iter().map(|(name, value)| {
            let value = match SECRET.contains(&name.as_str()) {
                true => "***".into(),
                false => String::from_utf8_lossy(value.as_bytes()),
            };
            (name.as_str(), value)
        })
    }

    /// A whole page that a person waits for.
    pub(super) fn is_navigation(&self) -> bool {
        self.method == Method::GET && self.wants() == Wants::Html && !self.is_part()
    }

    /// By a script that puts the answer into a page.
    pub(super) fn is_part(&self) -> bool {
        self.headers.contains_key(HX_REQUEST)
            || !matches!(
                text(&self.headers, SEC_FETCH_DEST),
                None | Some("document" | "iframe" | "frame")
            )
    }

    /// Whether the browser itself says that it shows the answer as a page. It says nothing over plain HTTP to another
    /// machine.
    pub(super) fn is_document(&self) -> bool {
        text(&self.headers, SEC_FETCH_DEST).is_some() && !self.is_part()
    }

    /// Takes out of a navigation what would keep the script out of its answer: compression, and "not modified", which
    /// brings back a page with the script of an older generation.
    pub(super) fn ask_plainly(&self, headers: &mut HeaderMap) {
        // A client that goes on with a download needs the same bytes as before.
        if !self.is_navigation() || self.headers.contains_key(header::RANGE) {
            return;
        }
        for name in [
            header::ACCEPT_ENCODING,
            header::IF_NONE_MATCH,
            header::IF_MODIFIED_SINCE,
        ] {
            headers.remove(name);
        }
    }

    /// By the `Accept` header; a client that takes anything gets JSON where the body it sent or the path says so.
    pub(super) fn wants(&self) -> Wants {
        let accept = text(&self.headers, header::ACCEPT).unwrap_or_default();
        let sends_json = || {
            text(&self.headers, header::CONTENT_TYPE)
                .is_some_and(|kind| kind.starts_with("application/json"))
        };
        if accept.contains("text/html") {
            Wants::Html
        } else if accept.contains("json") || self.uri.path().starts_with("/api/") || sends_json() {
            Wants::Json
        } else {
            Wants::Text
        }
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

//! The parts of a request that the host needs to answer instead of the app.

use std::{borrow::Cow, net::IpAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};

use super::masks::masked;

/// Method, URI and headers of a request, kept after the request has been consumed.
#[derive(Clone, Debug)]
pub(crate) struct RequestInfo {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    /// Unmasked.
    headers: HeaderMap,
}

/// The format of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    Html,
    Json,
    Text,
}

const HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// The script in a page fetches that page again, to change it in place.
const X_DEV_PAGE: HeaderName = HeaderName::from_static("x-dev-page");

impl RequestInfo {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        }
    }

    /// The host name and port that the client used.
    pub(crate) fn host(&self) -> &str {
        // In HTTP/2 it is in the URI.
        let named = self.uri.authority().map(|authority| authority.as_str());
        named
            .or_else(|| text(&self.headers, header::HOST))
            .unwrap_or_default()
    }

    /// Path and query.
    pub(crate) fn target(&self) -> &str {
        self.uri
            .path_and_query()
            .map_or("", |target| target.as_str())
    }

    /// Names and values, secrets masked.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        masked(&self.headers)
    }

    /// Names and values, as they were sent.
    pub(crate) fn unmasked(&self) -> &HeaderMap {
        &self.headers
    }

    /// Whether a browser loads a whole page.
    pub(crate) fn is_navigation(&self) -> bool {
        self.method == Method::GET && self.wants() == Wants::Html && !self.is_part()
    }

    /// Whether a script will insert the response into a page.
    pub(crate) fn is_part(&self) -> bool {
        let is_page = || {
            self.headers.contains_key(X_DEV_PAGE)
                || matches!(
                    text(&self.headers, SEC_FETCH_DEST),
                    None | Some("document" | "iframe" | "frame")
                )
        };
        self.headers.contains_key(HX_REQUEST) || !is_page()
    }

    /// Whether the browser says that it loads a document. It does not say so over plain HTTP to another machine.
    pub(crate) fn is_document(&self) -> bool {
        text(&self.headers, SEC_FETCH_DEST).is_some() && !self.is_part()
    }

    /// Makes the headers of a navigation those that the app is to see.
    ///
    /// Removes what would prevent adding the script: headers that allow compression or "not modified", with which the
    /// browser would show a page with the script tag of an older generation. A page that is fetched by the script is
    /// a page as any other.
    pub(crate) fn as_page_load(&self, headers: &mut HeaderMap) {
        if headers.remove(X_DEV_PAGE).is_some() {
            headers.insert(SEC_FETCH_DEST, HeaderValue::from_static("document"));
            headers.insert(SEC_FETCH_MODE, HeaderValue::from_static("navigate"));
        }
        // A client that resumes a download needs the same bytes as before.
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

    /// From the `Accept` header. A client that accepts anything gets JSON if its path or the body it sent suggests
    /// that.
    pub(crate) fn wants(&self) -> Wants {
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

/// The name in a host with a port; nothing if there is none.
pub(super) fn name_of(host: &str) -> &str {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    name.unwrap_or_default()
}

/// Whether a host with a port names this machine to itself.
pub(crate) fn is_local_name(host: &str) -> bool {
    let name = name_of(host);
    let address = name.parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

//! What the host answers in the app's place, and the trait of the pages that are shown for it.

use axum::{
    body::Body,
    http::{HeaderMap, Response, StatusCode, header},
};
use shared::db::Failure;

use super::request_info::{RequestInfo, Wants};
use crate::{database::SchemaState, events::Trouble, generation::Absence, panics};

/// Why the host answers and not the app.
pub(crate) enum Instead {
    /// The database keeps the app from answering.
    Trouble(Trouble),
    /// Migrations have failed or are pending.
    Schema(SchemaState),
    /// No generation is active.
    Absent(Absence),
    /// The host has stopped waiting for the app, for this reason.
    CutOff(String),
    /// The handler panicked.
    Panicked {
        report: panics::PanicReport,
        generation: u64,
    },
    /// The app answered with this status after a database error.
    Failed {
        failure: Failure,
        status: StatusCode,
        generation: u64,
    },
}

impl Instead {
    /// Whether its page shows source lines, which are read from files.
    pub(super) fn reads_files(&self) -> bool {
        matches!(self, Self::Panicked { .. } | Self::Failed { .. })
    }
}

/// The host's own pages. The gateway decides when they are shown, not what they look like.
pub(crate) trait Pages: Send + Sync {
    /// The response to `request` in the app's place. May read files, so it runs on a thread that may block. `trusted`:
    /// the client may use the actions of the host.
    fn page(&self, instead: &Instead, request: &RequestInfo, trusted: bool) -> Response<Body>;
}

/// Whether a page of the host may replace this response: a browser shows it and the app did not make a page of it.
pub(super) fn may_replace(info: &RequestInfo, response: &Response<Body>) -> bool {
    let is_html = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    response.status().is_server_error()
        && info.wants() == Wants::Html
        && !info.is_part()
        && !is_html
}

/// The cookies of the app's answer, for the page in its place: they may begin or end a session.
pub(super) fn cookies_of(answer: &Response<Body>) -> HeaderMap {
    let cookies = answer.headers().get_all(header::SET_COOKIE).iter();
    cookies
        .map(|cookie| (header::SET_COOKIE, cookie.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_keeps_the_cookies_of_the_answer() {
        let answer = Response::builder()
            .header(header::SET_COOKIE, "session=; Max-Age=0")
            .header(header::SET_COOKIE, "theme=dark")
            .header(header::CONTENT_TYPE, "text/plain");
        let answer = answer.body(Body::from("failed")).expect("headers");
        let mut page = Response::builder()
            .header(header::CONTENT_TYPE, "text/html")
            .body(Body::from("<h1>nope</h1>"))
            .expect("headers");
        page.headers_mut().extend(cookies_of(&answer));
        let cookies: Vec<_> = page.headers().get_all(header::SET_COOKIE).iter().collect();
        assert_eq!(cookies, ["session=; Max-Age=0", "theme=dark"]);
        assert_eq!(page.headers()[header::CONTENT_TYPE], "text/html");
    }
}

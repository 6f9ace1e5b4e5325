//! Puts the dev server's scripts into the app's pages.
//!
//! Owns which responses get them. A response that is not a page passes through unchanged. A page gets the script that
//! reports errors at its beginning and the other at its end, and loses the headers that would allow caching.

// At the end of the body, and at the beginning.
mod append;
mod head;

// Unless the page's policy keeps it out.
mod policy;

pub(crate) use policy::{Unreloadable, UnreloadablePages};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header},
};

use super::{request_info::RequestInfo, requests::Rendering, timing::ms};
use crate::events::{Event, Events};
use append::{Tags, append};
use policy::{PolicyVerdict, judge};

/// What a page was rendered from. The script renders it again when that has changed.
#[derive(Clone, Copy)]
pub(super) struct PageOrigin {
    pub(super) generation: u64,
    /// Revision of the files that the app reads at run time.
    pub(super) revision: u64,
    /// Revision of the schema that blocked the app, if one did.
    pub(super) schema: Option<u64>,
    /// The outage during which it was rendered, if any.
    pub(super) outage: Option<u64>,
    /// The request that it answers, if the app was asked.
    pub(super) request: Option<u64>,
    /// For the bar on the page, if there is one.
    pub(super) rendering: Option<Rendering>,
}

/// Adds the scripts to a page. A page that blocks them is recorded in `unreloadable` and reported to the user.
pub(super) fn add_script(
    info: &RequestInfo,
    origin: PageOrigin,
    response: Response<Body>,
    unreloadable: &UnreloadablePages,
    events: &Events,
) -> Response<Body> {
    if info.method == Method::HEAD || info.is_part() || !is_shown_as_page(&response) {
        return response;
    }
    let path = info.uri.path();
    let note = |because: Option<&str>| {
        if unreloadable.note(path, because)
            && let Some(because) = because
        {
            events.emit(Event::Unreloadable {
                path: path.to_owned(),
                because: because.to_owned(),
            });
        }
    };
    if let Some(encoding) = response.headers().get(header::CONTENT_ENCODING) {
        // The app compressed although the navigation did not allow it.
        if info.is_navigation() {
            let encoding = String::from_utf8_lossy(encoding.as_bytes());
            note(Some(&format!("content-encoding: {encoding}")));
        }
        return response;
    }
    let PolicyVerdict {
        nonce,
        forbidden_by,
    } = judge(response.headers(), info.host());
    note(forbidden_by.as_deref());
    append(response, tags(info, origin, nonce), info.is_document())
}

/// Without a word from the app a browser guesses for how long a file stays as it is, from its age: a stylesheet that was
/// not touched for a month would then be old for days after a save.
pub(super) fn forbid_guessing(headers: &mut HeaderMap) {
    if headers.contains_key(header::LAST_MODIFIED)
        && !headers.contains_key(header::CACHE_CONTROL)
        && !headers.contains_key(header::EXPIRES)
    {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
}

fn tags(info: &RequestInfo, origin: PageOrigin, nonce: Option<String>) -> Tags {
    let nonce = nonce.map_or_else(String::new, |nonce| format!(" nonce=\"{nonce}\""));
    let PageOrigin {
        generation,
        revision,
        schema,
        outage,
        rendering,
        request: _,
    } = origin;
    let data = |name: &str, value: Option<u64>| {
        value.map_or_else(String::new, |value| format!(" data-{name}=\"{value}\""))
    };
    let revision = data("revision", (revision > 0).then_some(revision));
    let (schema, outage) = (data("schema", schema), data("outage", outage));
    let rendering = rendering.map_or_else(String::new, |it| {
        let took = ms(it.took);
        let repeated = if it.is_n_plus_1 { " data-repeated" } else { "" };
        format!(
            " data-request=\"{}\" data-took=\"{took}\" data-statements=\"{}\"{repeated}",
            it.request, it.statements
        )
    });
    let host = std::process::id();
    // Reloading the response to a form would send the form again.
    let keep = if info.method == Method::GET {
        ""
    } else {
        " data-keep"
    };
    let asked = data("request", origin.request);
    let first = format!(
        "<script src=\"/__dev/errors.js\" data-generation=\"{generation}\"{asked}{nonce}></script>"
    );
    let last = format!(
        "<script src=\"/__dev/browser.js\" data-host=\"{host}\" data-generation=\"{generation}\"{revision}{schema}{outage}{rendering}{keep}{nonce} defer></script>"
    );
    Tags { first, last }
}

/// Whether it is a complete HTML page for display.
fn is_shown_as_page(response: &Response<Body>) -> bool {
    let says = |name, value: &[u8]| {
        let header = response.headers().get(name);
        header.is_some_and(|header| header.as_bytes().starts_with(value))
    };
    let status = response.status();
    let is_empty_or_part = status.is_redirection()
        || matches!(
            status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT
        );
    says(header::CONTENT_TYPE, b"text/html")
        && !is_empty_or_part
        && !says(header::CONTENT_DISPOSITION, b"attachment")
}

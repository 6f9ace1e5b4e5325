//! Adds tags to an HTML page while it streams through.
//!
//! One goes at the very end: browsers treat a script after `</html>` as the last element of the body. So no frame is
//! held back, and there is no need to search for `</body>`, which may also occur in a string or a comment. The other
//! goes to the beginning if the first frame has a place for it, and otherwise before the one at the end.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, HeaderValue, Response, header},
};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Frame, SizeHint};

use super::head;

/// What is added.
pub(super) struct Tags {
    /// Before the page's own scripts, if there is a place.
    pub(super) first: String,
    pub(super) last: String,
}

/// Adds `tags` to a page. Without `is_page`, a response that has none of the [`MARKS`] of a whole page is
/// taken for a fragment that a script inserts somewhere, and is not changed.
pub(super) fn append(response: Response<Body>, tags: Tags, is_page: bool) -> Response<Body> {
    let added = tags.first.len() + tags.last.len();
    let (mut parts, mut body) = response.into_parts();
    // Poll once without waiting: the headers of a stream must be sent before its first frame exists.
    let first = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).now_or_never();
    let first = match first {
        Some(Some(Ok(frame))) if body.is_end_stream() => match frame.into_data() {
            Ok(page) if is_page || Marks::default().are_in(&page) => {
                let Tags { first, last } = tags;
                let page = match head::put(&page, first.as_bytes()) {
                    Some(page) => [&page, last.as_bytes()].concat(),
                    None => [&page, first.as_bytes(), last.as_bytes()].concat(),
                };
                describe(&mut parts.headers, Some(page.len()));
                return Response::from_parts(parts, Body::from(page));
            }
            Ok(fragment) => return Response::from_parts(parts, Body::from(fragment)),
            Err(trailers) => Some(Ok(trailers)),
        },
        Some(Some(frame)) => Some(frame),
        Some(None) | None => None,
    };
    let length = is_page.then(|| announced(&parts.headers)).flatten();
    describe(&mut parts.headers, length.map(|length| length + added));
    let streamed = Streamed {
        next: first,
        body,
        begun: false,
        tags: Some(tags),
        is_page,
        marks: Marks::default(),
    };
    Response::from_parts(parts, Body::new(streamed))
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Removes caching and range headers, which describe the page without the tag: after "not modified" the browser would
/// show a page with the script tag of an older generation.
fn describe(headers: &mut HeaderMap, length: Option<usize>) {
    for of_the_original in [
        header::ETAG,
        header::LAST_MODIFIED,
        header::ACCEPT_RANGES,
        header::EXPIRES,
    ] {
        headers.remove(of_the_original);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if headers.remove(header::CONTENT_LENGTH).is_some()
        && let Some(length) = length
    {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// The body of a page, with the tags added.
struct Streamed {
    /// A frame already taken from the body.
    next: Option<Result<Frame<Bytes>, axum::Error>>,
    body: Body,
    /// The first data has passed.
    begun: bool,
    /// Without what has been sent.
    tags: Option<Tags>,
    /// Known from the request, or once a mark was found.
    is_page: bool,
    marks: Marks,
}

impl HttpBody for Streamed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let next = match self.next.take() {
            Some(frame) => Some(frame),
            None => ready!(Pin::new(&mut self.body).poll_frame(cx)),
        };
        let end = match next {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    self.is_page = self.is_page || self.marks.are_in(&data);
                    return Poll::Ready(Some(Ok(Frame::data(self.begin(data)))));
                }
                Err(trailers) => Some(Ok(trailers)),
            },
            Some(Err(error)) => {
                self.tags = None;
                return Poll::Ready(Some(Err(error)));
            }
            None => None,
        };
        // The end, or the trailers, which must come after the tags.
        match self.tags.take().filter(|_| self.is_page) {
            Some(Tags { first, last }) => {
                self.next = end;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from(first + &last)))))
            }
            None => Poll::Ready(end),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.tags.is_none() && self.next.is_none() && self.body.is_end_stream()
    }

    /// Unknown: hyper uses the content-length header, if there is one.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl Streamed {
    /// Puts the first tag into the first data, if that is a page's.
    fn begin(&mut self, data: Bytes) -> Bytes {
        let begun = std::mem::replace(&mut self.begun, true);
        let tags = self.tags.as_mut().filter(|_| self.is_page && !begun);
        let put = tags.and_then(|tags| {
            let page = head::put(&data, tags.first.as_bytes())?;
            tags.first.clear();
            Some(Bytes::from(page))
        });
        put.unwrap_or(data)
    }
}

const MARKS: [&[u8]; 4] = [b"<!doctype", b"<html", b"<body", b"</body"];

/// How much of a chunk can be the beginning of a mark that ends in the next.
const OVERLAP: usize = MARKS[0].len() - 1;

/// Searches for marks across chunk boundaries.
#[derive(Default)]
struct Marks {
    before: Vec<u8>,
}

impl Marks {
    fn are_in(&mut self, chunk: &[u8]) -> bool {
        let text = [&self.before, chunk].concat();
        let found = MARKS.iter().any(|mark| {
            text.windows(mark.len())
                .any(|window| window.eq_ignore_ascii_case(mark))
        });
        self.before = text[text.len().saturating_sub(OVERLAP)..].to_vec();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body of a response whose chunks are these, with `<first>` and `<tag>` added, and its announced length.
    fn added(chunks: &[&str], is_page: bool) -> (String, Option<usize>) {
        let length: usize = chunks.iter().map(|chunk| chunk.len()).sum();
        let chunks: Vec<_> = chunks
            .iter()
            .map(|chunk| Ok::<_, std::io::Error>(Bytes::copy_from_slice(chunk.as_bytes())))
            .collect();
        let body = Body::from_stream(futures_util::stream::iter(chunks));
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, length.into());
        headers.insert(header::ETAG, HeaderValue::from_static("\"x\""));
        let tags = Tags {
            first: "<first>".to_owned(),
            last: "<tag>".to_owned(),
        };
        let response = append(response, tags, is_page);
        let length = announced(response.headers());
        let etag = response.headers().get(header::ETAG);
        assert_eq!(etag, None, "of the original");
        let read = axum::body::to_bytes(response.into_body(), usize::MAX);
        let text = read.now_or_never().expect("nothing waits");
        let text = text.expect("no chunk fails").to_vec();
        (String::from_utf8(text).expect("characters"), length)
    }

    #[test]
    fn a_page_ends_with_the_tag_wherever_it_is_cut() {
        for page in [
            "<!DOCTYPE html><p>ö",
            "a<Body>b",
            "<p>c</p></bOdY>",
            "<html>",
        ] {
            let bytes = page.char_indices().map(|(at, _)| at);
            for (first, second) in bytes
                .clone()
                .flat_map(|a| bytes.clone().map(move |b| (a, b)))
            {
                let (first, second) = (first.min(second), first.max(second));
                let chunks = [&page[..first], &page[first..second], &page[second..]];
                for is_page in [false, true] {
                    let (text, length) = added(&chunks, is_page);
                    let expected = format!("{page}<tag>");
                    assert_eq!(text.replacen("<first>", "", 1), expected, "{chunks:?}");
                    assert!(!is_page || length == Some(text.len()));
                }
            }
        }
    }

    #[test]
    fn the_first_goes_to_the_beginning_if_that_comes_in_one_piece() {
        let chunks = ["<!doctype html><head>", "<title>a</title>"];
        let expected = "<!doctype html><head><first><title>a</title><tag>";
        assert_eq!(added(&chunks, false).0, expected);
        assert_eq!(added(&[&chunks.concat()], false).0, expected);
    }

    #[test]
    fn a_fragment_is_left_alone_unless_it_is_known_to_be_a_page() {
        assert_eq!(added(&["<p>", "a</p>"], false).0, "<p>a</p>");
        assert_eq!(added(&["<p>", "a</p>"], true).0, "<p>a</p><first><tag>");
        assert_eq!(added(&[], true).0, "<first><tag>");
    }
}

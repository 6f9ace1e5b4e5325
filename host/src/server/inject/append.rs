//! Adds a tag to an HTML page while it streams through.
//!
//! The tag goes at the very end: browsers treat a script after `</html>` as the last element of the body. So no frame
//! is held back, and there is no need to search for `</body>`, which may also occur in a string or a comment.

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

/// Adds `tag` to the end of a page. Without `is_page`, a response that has none of the [`MARKS`] of a whole page is
/// taken for a fragment that a script inserts somewhere, and is not changed.
pub(super) fn append(response: Response<Body>, tag: String, is_page: bool) -> Response<Body> {
    let (mut parts, mut body) = response.into_parts();
    // Poll once without waiting: the headers of a stream must be sent before its first frame exists.
    let first = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).now_or_never();
    let first = match first {
        Some(Some(Ok(frame))) if body.is_end_stream() => match frame.into_data() {
            Ok(page) if is_page || Marks::default().are_in(&page) => {
                let page = [&page, tag.as_bytes()].concat();
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
    describe(&mut parts.headers, length.map(|length| length + tag.len()));
    let streamed = Streamed {
        next: first,
        body,
        tag: Some(Bytes::from(tag)),
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

/// The body of a page, with the tag added.
struct Streamed {
    /// A frame already taken from the body.
    next: Option<Result<Frame<Bytes>, axum::Error>>,
    body: Body,
    /// `None` once it has been sent.
    tag: Option<Bytes>,
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
        match next {
            Some(Ok(frame)) if frame.is_data() => {
                if let Some(data) = frame.data_ref()
                    && !self.is_page
                {
                    self.is_page = self.marks.are_in(data);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                self.tag = None;
                Poll::Ready(Some(Err(error)))
            }
            // The end, or the trailers, which must come after the tag.
            end => {
                let tag = self.tag.take().filter(|_| self.is_page);
                match tag {
                    Some(tag) => {
                        self.next = end;
                        Poll::Ready(Some(Ok(Frame::data(tag))))
                    }
                    None => Poll::Ready(end),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.tag.is_none() && self.next.is_none() && self.body.is_end_stream()
    }

    /// Unknown: hyper uses the content-length header, if there is one.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
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

    /// The body of a response whose chunks are these, with `<tag>` added, and its announced length.
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
        let response = append(response, "<tag>".to_owned(), is_page);
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
                let expected = format!("{page}<tag>");
                assert_eq!(added(&chunks, false).0, expected, "{chunks:?}");
                assert_eq!(
                    added(&chunks, true),
                    (expected.clone(), Some(expected.len()))
                );
            }
        }
    }

    #[test]
    fn a_fragment_is_left_alone_unless_it_is_known_to_be_a_page() {
        assert_eq!(added(&["<p>", "a</p>"], false).0, "<p>a</p>");
        assert_eq!(added(&["<p>", "a</p>"], true).0, "<p>a</p><tag>");
        assert_eq!(added(&[], true).0, "<tag>");
    }
}

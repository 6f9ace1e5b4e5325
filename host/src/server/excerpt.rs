//! The beginning of a body, copied as it passes: what a trace shows, and what `curl` sends again.
//!
//! Never holds a body up, and never reads one that nobody else reads.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

/// How much of each body is kept.
const MAX: usize = 16 << 10;

/// Clones are the same excerpt.
#[derive(Clone, Debug, Default)]
pub(crate) struct Excerpt(Arc<Mutex<Copied>>);

#[derive(Debug, Default)]
struct Copied {
    bytes: Vec<u8>,
    /// Of all that has passed.
    length: usize,
    /// It was read to its end, or was empty.
    ended: bool,
}

impl Excerpt {
    /// The body, which is copied from here on.
    pub(super) fn watch(&self, body: Body) -> Body {
        if body.is_end_stream() {
            self.end();
            return body;
        }
        Body::new(Watched {
            body,
            excerpt: self.clone(),
        })
    }

    /// What has passed so far, and whether that is all of it.
    pub(crate) fn so_far(&self) -> (Vec<u8>, bool) {
        let copied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_whole = copied.ended && copied.length == copied.bytes.len();
        (copied.bytes.clone(), is_whole)
    }

    fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
    }

    fn add(&self, bytes: &[u8]) {
        let mut copied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MAX - copied.bytes.len();
        copied.length += bytes.len();
        copied
            .bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

struct Watched {
    body: Body,
    excerpt: Excerpt,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            self.excerpt.add(bytes);
        }
        if frame.is_none() || self.body.is_end_stream() {
            self.excerpt.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_beginning_is_kept_and_all_of_it_passes() {
        let excerpt = Excerpt::default();
        let sent = vec![7; MAX + 1];
        let body = excerpt.watch(Body::from(sent.clone()));
        assert_eq!(body.size_hint().exact(), Some(MAX as u64 + 1));
        let passed = axum::body::to_bytes(body, usize::MAX)
            .await
            .expect("it is whole");
        assert_eq!(passed, sent);
        assert_eq!(excerpt.so_far(), (vec![7; MAX], false));
    }

    #[tokio::test]
    async fn it_is_whole_once_it_was_read_to_its_end() {
        let excerpt = Excerpt::default();
        let body = excerpt.watch(Body::from("one"));
        assert_eq!(excerpt.so_far(), (Vec::new(), false));
        axum::body::to_bytes(body, usize::MAX)
            .await
            .expect("it is whole");
        assert_eq!(excerpt.so_far(), (b"one".to_vec(), true));
    }
}

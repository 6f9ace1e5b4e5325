//! Moves a response body from the generation's runtime to the connection's.
//!
//! The host never polls app code on its own threads. A complete body is moved as a whole; a streaming one is forwarded
//! through a channel by a task on the generation's runtime. Either way the body holds the request's lease.

use std::{
    future::{self, poll_fn},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{body::Body, http::Response};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http_body::{Body as _, Frame, SizeHint};
use shared::request::Request;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::generation::Lease;

/// Capacity of the channel in frames. Enough to hide a task switch, small enough that back-pressure reaches the app.
const IN_TRANSIT: usize = 4;

/// A body the host may poll.
pub(super) struct AppBody {
    source: BodySource,
    size: SizeHint,
    /// Dropped with the body, so that the request holds its generation until the last byte is written.
    lease: Option<Lease>,
}

enum BodySource {
    Complete(Option<Frame<Bytes>>),
    Stream {
        frames: mpsc::Receiver<io::Result<Frame<Bytes>>>,
        /// Aborts the app's stream when the client disconnects, even while the stream is idle.
        pump: AbortOnDropHandle<()>,
        /// Resolves when the request is cut off. Needed because a stream that never awaits cannot be aborted.
        cut_off: BoxFuture<'static, String>,
    },
    Ended,
}

/// Replaces the app's body by one that the host may poll. Runs on the generation's runtime, as part of the request.
pub(super) async fn detach(response: Response<Body>) -> Response<AppBody> {
    let (parts, mut body) = response.into_parts();
    let size = body.size_hint();
    // Poll once and do not wait: the headers of a stream must be sent before its first frame exists.
    let first = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).now_or_never();
    let source = match first {
        Some(None) => BodySource::Complete(None),
        Some(Some(Ok(frame))) if body.is_end_stream() => BodySource::Complete(Some(frame)),
        first => {
            let (sender, frames) = mpsc::channel(IN_TRANSIT);
            // Stay in the request's scope, so that the work of the stream is attributed to the request.
            let pump = pump(first.flatten(), body, sender);
            let pump = AbortOnDropHandle::new(match Request::current() {
                Some(request) => tokio::spawn(request.scope(pump)),
                None => tokio::spawn(pump),
            });
            BodySource::Stream {
                frames,
                pump,
                cut_off: future::pending().boxed(),
            }
        }
    };
    Response::from_parts(
        parts,
        AppBody {
            source,
            size,
            lease: None,
        },
    )
}

async fn pump(
    mut next: Option<Result<Frame<Bytes>, axum::Error>>,
    mut body: Body,
    frames: mpsc::Sender<io::Result<Frame<Bytes>>>,
) {
    loop {
        let frame = match next.take() {
            Some(frame) => frame,
            None => match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                Some(frame) => frame,
                None => return,
            },
        };
        // Convert to text: the error's type belongs to the app, and the host must not keep app objects.
        let frame = frame.map_err(|error| io::Error::other(error.to_string()));
        let failed = frame.is_err();
        if frames.send(frame).await.is_err() || failed {
            return;
        }
    }
}

impl AppBody {
    pub(super) fn with_lease(mut self, lease: Lease) -> Self {
        if let BodySource::Stream { cut_off, .. } = &mut self.source {
            *cut_off = lease.request().clone().until_cut_off().boxed();
        }
        self.lease = Some(lease);
        self
    }
}

impl http_body::Body for AppBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = match &mut self.source {
            BodySource::Complete(frame) => frame.take().map(Ok),
            BodySource::Ended => None,
            BodySource::Stream {
                frames,
                pump,
                cut_off,
            } => match frames.poll_recv(cx) {
                Poll::Ready(Some(frame)) => Some(frame),
                // The channel also closes when the stream panics or is cut off, which must not look like a normal end.
                Poll::Ready(None) => match ready!(Pin::new(pump).poll(cx)) {
                    Ok(()) => None,
                    Err(error) => Some(Err(io::Error::other(format!(
                        "the app's stream ended early: {error}"
                    )))),
                },
                // Only now: it may not be polled again once it has ended, and what was sent before comes first.
                Poll::Pending => Some(Err(io::Error::other(ready!(cut_off.poll_unpin(cx))))),
            },
        };
        if !matches!(frame, Some(Ok(_))) {
            self.source = BodySource::Ended;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, BodySource::Complete(None) | BodySource::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_sent_before_a_stream_is_cut_off_still_arrives() {
        let (sender, frames) = mpsc::channel(IN_TRANSIT);
        for piece in ["one", "two"] {
            let frame = Ok(Frame::data(Bytes::from(piece)));
            sender.send(frame).await.expect("it is received");
        }
        let mut body = AppBody {
            source: BodySource::Stream {
                frames,
                pump: AbortOnDropHandle::new(tokio::spawn(future::pending())),
                cut_off: async { "replaced".to_owned() }.boxed(),
            },
            size: SizeHint::default(),
            lease: None,
        };
        let mut next = async || poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        for piece in ["one", "two"] {
            let frame = next().await.expect("it goes on").expect("it is whole");
            assert_eq!(frame.into_data().ok().as_deref(), Some(piece.as_bytes()));
        }
        let end = next().await.expect("not an orderly end");
        assert_eq!(end.expect_err("cut off").to_string(), "replaced");
        assert!(next().await.is_none());
        drop(sender); // the app's stream has nothing more to say, and does not end
    }
}

//! Keeps a value until a socket is dropped.
//!
//! After an upgrade (WebSocket) the socket leaves HTTP and belongs to a task of the app, and its response is over. The
//! only sign that it has ended is its drop. So the socket carries a slot that can hold the request's lease until then.
//! The tether also has the peer's address, which unlike a header cannot be forged.

use std::{
    any::Any,
    io::{self, IoSlice},
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::places::Place;

/// The slot. Clones share it, and its content is dropped with the socket.
#[derive(Clone)]
pub struct Tether {
    held: Arc<Mutex<Option<Box<dyn Any + Send>>>>,
    peer: Option<IpAddr>,
}

impl Tether {
    /// Whether the client is on this machine.
    pub fn is_of_this_machine(&self) -> bool {
        self.peer
            .is_some_and(|peer| peer.to_canonical().is_loopback())
    }

    /// Keeps `value` until the socket is dropped.
    pub fn hold(&self, value: impl Any + Send) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(value));
    }
}

/// A socket with its tether.
pub(crate) struct Tethered {
    stream: TcpStream,
    tether: Tether,
    /// Counts it among the sockets that may be open at once.
    _place: Place,
}

impl Tethered {
    pub(crate) fn new(stream: TcpStream, place: Place) -> (Self, Tether) {
        let tether = Tether {
            held: Arc::default(),
            peer: stream.peer_addr().ok().map(|peer| peer.ip()),
        };
        (
            Self {
                stream,
                tether: tether.clone(),
                _place: place,
            },
            tether,
        )
    }
}

impl Drop for Tethered {
    fn drop(&mut self) {
        // Drop the value explicitly, since a request may still have a clone of the tether.
        drop(
            self.tether
                .held
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }
}

impl AsyncRead for Tethered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tethered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

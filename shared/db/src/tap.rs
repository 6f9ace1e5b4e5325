//! The stream under a connection that is handed to a relay.
//!
//! During startup it leads to the server. Then the server's stream is taken out and the relay's put in, and the client
//! goes on without noticing. TLS is inside it, so what is taken out speaks PostgreSQL's protocol in clear text.

use std::{
    fmt, io, mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::CancellationToken;

use super::{startup::Startup, stream::Stream};

/// All clones are the same stream.
#[derive(Clone)]
pub(super) struct Tap(Arc<Mutex<State>>);

/// Closes a tap from outside the connection. By itself it does not keep the stream open.
#[derive(Clone)]
pub(super) struct Valve {
    tap: Weak<Mutex<State>>,
    /// Whoever drives the connection ends then; but that may be later.
    pub(super) closed: CancellationToken,
}

struct State {
    link: Link,
    /// `None` once the relay's stream is in.
    startup: Option<Startup>,
    /// Waits until the server is asked something.
    reader: Option<Waker>,
}

enum Link {
    Stream(Box<dyn Stream>),
    Tls(Box<TlsSession>),
    /// Between two streams, without a reader or writer; or closed, and one that is left is about to end.
    Gone,
}

type Connector = <MakeRustlsConnect as MakeTlsConnect<Box<dyn Stream>>>::TlsConnect;
type TlsSession = <MakeRustlsConnect as MakeTlsConnect<Box<dyn Stream>>>::Stream;

impl Tap {
    /// `asks_for_tls`: the first thing sent is the question whether the server speaks it.
    pub(super) fn new(socket: Box<dyn Stream>, asks_for_tls: bool) -> Self {
        Self(Arc::new(Mutex::new(State {
            link: Link::Stream(socket),
            startup: Some(Startup::new(asks_for_tls)),
            reader: None,
        })))
    }

    /// After the startup: the server's stream, and its greeting.
    pub(super) fn take(&self) -> (Box<dyn Stream>, Bytes) {
        let mut state = self.state();
        let greeting = state.startup.take().map(Startup::into_greeting);
        (state.link.take(), greeting.unwrap_or_default().into())
    }

    /// After [`take`](Self::take): goes on over the relay's stream.
    pub(super) fn put(&self, stream: Box<dyn Stream>) {
        self.state().link = Link::Stream(stream);
    }

    pub(super) fn valve(&self) -> Valve {
        Valve {
            tap: Arc::downgrade(&self.0),
            closed: CancellationToken::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Valve {
    pub(super) fn close(&self) {
        if let Some(tap) = self.tap.upgrade().map(Tap) {
            tap.state().link = Link::Gone;
        }
        self.closed.cancel();
    }
}

impl fmt::Debug for Valve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Valve")
    }
}

impl Link {
    fn take(&mut self) -> Box<dyn Stream> {
        match mem::replace(self, Self::Gone) {
            Self::Stream(stream) => stream,
            Self::Tls(session) => session,
            Self::Gone => Box::new(tokio::io::empty()),
        }
    }

    fn stream(&mut self) -> Option<Pin<&mut dyn Stream>> {
        match self {
            Self::Stream(stream) => Some(Pin::new(&mut **stream)),
            Self::Tls(session) => Some(Pin::new(&mut **session)),
            Self::Gone => None,
        }
    }

    fn poll<T>(&mut self, poll: impl FnOnce(Pin<&mut dyn Stream>) -> Poll<T>) -> Poll<T> {
        self.stream().map_or(Poll::Pending, poll)
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let State {
            link,
            startup,
            reader,
        } = &mut *self.state();
        let Some(startup) = startup else {
            return link.poll(|stream| stream.poll_read(cx, buf));
        };
        let Some(wanted) = startup.wanted() else {
            *reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let mut bytes = [0; 1024];
        let size = wanted.min(bytes.len()).min(buf.remaining());
        let mut read = ReadBuf::new(&mut bytes[..size]);
        ready!(link.poll(|stream| stream.poll_read(cx, &mut read)))?;
        startup.heard(read.filled());
        buf.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let State {
            link,
            startup,
            reader,
        } = &mut *self.state();
        if let Some(startup) = startup {
            startup.asked();
            if let Some(reader) = reader.take() {
                reader.wake();
            }
        }
        link.poll(|stream| stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state().link.poll(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state().link.poll(|stream| stream.poll_shutdown(cx))
    }
}

impl TlsStream for Tap {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.state().link {
            Link::Tls(session) => session.channel_binding(),
            _ => ChannelBinding::none(),
        }
    }
}

/// Begins TLS inside a [`Tap`].
pub(super) struct Handshake {
    pub(super) connector: Connector,
    /// The server was found by a name that its certificate may have.
    pub(super) has_name: bool,
}

impl TlsConnect<Tap> for Handshake {
    type Stream = Tap;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Tap>>;

    fn connect(self, tap: Tap) -> Self::Future {
        Box::pin(async move {
            if !self.has_name {
                // As tokio-postgres says it.
                return Err(io::Error::other("no hostname provided for TLS handshake"));
            }
            let socket = tap.state().link.take();
            let session = self.connector.connect(socket).await?;
            tap.state().link = Link::Tls(Box::new(session));
            Ok(tap)
        })
    }
}

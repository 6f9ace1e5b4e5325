//! The stream over which the `Db` of this process speaks: a client without a socket.

use std::{
    any::Any,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf, BytesMut};
use futures_util::future::BoxFuture;
use shared_db::{Established, Relay, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    exchange::{Exchange, Inner},
    ids::ClientId,
    ports::Sink,
};

struct Local {
    inner: Arc<Inner>,
    id: ClientId,
    /// Said, and not yet a whole message.
    said: BytesMut,
}

impl Relay for Exchange {
    fn take(&self, connection: Established) -> Box<dyn Stream> {
        let id = self.0.add_local(connection);
        Box::new(Local {
            inner: self.0.clone(),
            id,
            said: BytesMut::new(),
        })
    }

    fn hold(&self) -> Box<dyn Any + Send + Sync> {
        self.0.with(|core| core.hold(true));
        Box::new(Hold(self.0.clone()))
    }

    fn cancel(&self) -> BoxFuture<'_, Result<(), io::Error>> {
        self.0.with(|core| {
            if let Some(local) = core.local {
                core.cancel_of(local);
            }
        });
        Box::pin(std::future::ready(Ok(())))
    }
}

struct Hold(Arc<Inner>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.with(|core| core.hold(false));
    }
}

impl Inner {
    fn add_local(&self, connection: Established) -> ClientId {
        let id = self.add_shared(connection, true);
        let sink = Sink::Local {
            reader: None,
            writer: None,
        };
        self.join(|_| id, sink)
    }
}

impl AsyncRead for Local {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let is_drained = self.inner.local(self.id, |core, port| {
            let is_gone = !core.clients.contains_key(&self.id);
            let out = core.out_of(self.id).filter(|out| !out.is_empty());
            let Some(out) = out else {
                if let (false, Some(port)) = (is_gone, port)
                    && let Sink::Local { reader, .. } = &mut port.sink
                {
                    *reader = Some(context.waker().clone());
                    return Poll::Pending;
                }
                return Poll::Ready(()); // the end
            };
            let length = out.len().min(buffer.remaining());
            buffer.put_slice(&out[..length]);
            out.advance(length);
            Poll::Ready(())
        });
        is_drained.map(|()| {
            self.inner.unblock(self.id);
            Ok(())
        })
    }
}

impl AsyncWrite for Local {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.inner.is_full(this.id, context) {
            return Poll::Pending;
        }
        this.said.extend_from_slice(bytes);
        let (id, said) = (this.id, &mut this.said);
        let heard = this.inner.with(|core| {
            if !core.clients.contains_key(&id) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            core.say_all(id, said).map_err(io::Error::other)
        });
        Poll::Ready(heard.map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.with(|core| core.leave(self.id));
        Poll::Ready(Ok(()))
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.inner.with(|core| core.leave(self.id));
        self.inner.remove_client(self.id);
    }
}

//! A socket whose end waits for the server's.
//!
//! The server closes the socket of a cancel once it has signalled the backend. Who waits for that knows that whatever
//! is sent to the backend afterwards cannot be hit: a backend drops a signal that came before its next command
//! (`PostgresMain` resets `QueryCancelPending` then).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::Stream;

pub(super) struct Farewell {
    pub(super) socket: Box<dyn Stream>,
    /// The server has been told that nothing more will come.
    pub(super) is_shut: bool,
}

impl AsyncWrite for Farewell {
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.is_shut {
            ready!(Pin::new(&mut this.socket).poll_shutdown(context))?;
            this.is_shut = true;
        }
        loop {
            let mut rest = [0; 64];
            let mut rest = ReadBuf::new(&mut rest);
            match ready!(Pin::new(&mut this.socket).poll_read(context, &mut rest)) {
                Ok(()) if !rest.filled().is_empty() => {}
                // With an error it is closed too.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }

    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }
}

impl AsyncRead for Farewell {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

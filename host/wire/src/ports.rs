//! The sockets of clients and backends, beside the state whose bytes go there.
//!
//! Bytes are written where they arise, by the holder of the lock, as far as a socket takes them. What it does not take
//! is left to the socket's task, which is woken when the rest can follow.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, BytesMut};
use shared_db::{Cancel, Stream};
use tokio::{
    io::{AsyncWrite, WriteHalf},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use crate::{
    core::{Core, HIGH_WATER},
    identity::Identity,
    ids::{BackendId, ClientId},
};

pub(crate) struct State {
    pub(crate) core: Core,
    pub(crate) identity: Identity,
    pub(crate) clients: BTreeMap<ClientId, Port>,
    pub(crate) lines: BTreeMap<BackendId, Line>,
}

/// Where a client's bytes go.
pub(crate) struct Port {
    pub(crate) sink: Sink,
    /// The socket takes no more for now, and its task waits until it does.
    pub(crate) is_blocked: bool,
    /// Nothing is read from it, because too much of it waits.
    pub(crate) is_paused: bool,
}

/// Where a backend's bytes go.
pub(crate) struct Line {
    pub(crate) write: WriteHalf<Box<dyn Stream>>,
    pub(crate) is_blocked: bool,
    /// Tells its task that there is something to look at.
    pub(crate) wake: Arc<Notify>,
    pub(crate) cancel: Arc<Cancel>,
    /// Ends its task, and with it the connection.
    pub(crate) stop: CancellationToken,
}

pub(crate) enum Sink {
    Socket {
        write: Box<dyn AsyncWrite + Send + Unpin>,
        /// Tells its task that there is something to look at.
        wake: Arc<Notify>,
    },
    /// The stream of the `Db`: who reads it, and who writes to it.
    Local {
        reader: Option<Waker>,
        writer: Option<Waker>,
    },
}

impl State {
    pub(crate) fn write_out(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        for id in std::mem::take(&mut self.core.written) {
            let blocked = self.clients.get(&id).is_some_and(|port| port.is_blocked);
            if !blocked && self.poll_client(id, &mut context).is_pending() {
                self.block(id);
            }
            self.wake_if_gone(id);
        }
        let State { core, lines, .. } = self;
        for (id, line) in lines.iter_mut().filter(|(_, line)| !line.is_blocked) {
            if let Some(backend) = core.backends.get_mut(id)
                && line.poll(&mut backend.out, &mut context).is_pending()
            {
                line.is_blocked = true;
                line.wake.notify_one();
            }
        }
        self.resume_reading();
        let State { core, clients, .. } = self;
        for (id, port) in clients.iter_mut().filter(|(_, port)| port.is_paused) {
            if !core.is_full_of(*id) {
                port.is_paused = false;
                port.wake();
            }
        }
    }

    pub(crate) fn resume_reading(&mut self) {
        for id in std::mem::take(&mut self.core.unblocked) {
            if let Some(line) = self.lines.get(&id) {
                line.wake.notify_one();
            }
        }
    }

    /// The socket is full: the client's task goes on with it.
    fn block(&mut self, id: ClientId) {
        if let Some(port) = self.clients.get_mut(&id) {
            port.is_blocked = true;
            port.wake();
        }
    }

    fn wake_if_gone(&mut self, id: ClientId) {
        if !self.core.clients.contains_key(&id)
            && let Some(port) = self.clients.get_mut(&id)
        {
            port.wake();
        }
    }

    pub(crate) fn poll_client(&mut self, id: ClientId, context: &mut Context<'_>) -> Poll<()> {
        let Some(port) = self.clients.get_mut(&id) else {
            return Poll::Ready(());
        };
        let Some(out) = self.core.out_of(id) else {
            return Poll::Ready(());
        };
        match &mut port.sink {
            Sink::Local { reader, .. } => {
                if let Some(reader) = reader.take() {
                    reader.wake();
                }
                return Poll::Ready(()); // it takes them itself
            }
            Sink::Socket { write, .. } => match ready!(poll_write(write, out, context)) {
                Ok(()) => port.is_blocked = false,
                Err(_) => {
                    out.clear();
                    port.is_blocked = false;
                    self.core.leave(id);
                }
            },
        }
        self.core.unblock(id);
        self.resume_reading();
        Poll::Ready(())
    }

    pub(crate) fn poll_line(&mut self, id: BackendId, context: &mut Context<'_>) -> Poll<()> {
        let (Some(line), Some(backend)) =
            (self.lines.get_mut(&id), self.core.backends.get_mut(&id))
        else {
            return Poll::Ready(());
        };
        line.poll(&mut backend.out, context)
    }
}

impl Line {
    /// Writes `out`, as far as the socket takes it.
    fn poll(&mut self, out: &mut BytesMut, context: &mut Context<'_>) -> Poll<()> {
        if ready!(poll_write(&mut self.write, out, context)).is_err() {
            out.clear(); // the reader learns why
        }
        self.is_blocked = false;
        Poll::Ready(())
    }
}

impl Port {
    fn wake(&mut self) {
        match &mut self.sink {
            Sink::Socket { wake, .. } => wake.notify_one(),
            Sink::Local { reader, writer } => {
                for waker in [reader.take(), writer.take()].into_iter().flatten() {
                    waker.wake();
                }
            }
        }
    }
}

impl Core {
    /// Nothing more should be read from the client before some of what it has said is sent.
    pub(crate) fn is_full_of(&self, id: ClientId) -> bool {
        let waiting = self
            .clients
            .get(&id)
            .map_or(0, |client| client.waiting_bytes());
        let backend = self.backend_of(id).and_then(|id| self.backends.get(&id));
        waiting > HIGH_WATER || backend.is_some_and(|backend| backend.out.len() > HIGH_WATER)
    }
}

fn poll_write(
    write: &mut (impl AsyncWrite + Unpin + ?Sized),
    out: &mut BytesMut,
    context: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while !out.is_empty() {
        let written = ready!(Pin::new(&mut *write).poll_write(context, out))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        out.advance(written);
    }
    // TLS keeps what it has encrypted until it is told to send it.
    Pin::new(write).poll_flush(context)
}

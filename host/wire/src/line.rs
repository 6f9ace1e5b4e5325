//! The connection to a backend: its socket, and the task that reads it.

use std::{future::poll_fn, sync::Arc, time::Duration};

use bytes::BytesMut;
use shared_db::{Established, Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf},
    sync::Notify,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    backend::{Backend, parameters},
    core::Core,
    effects::Left,
    exchange::Inner,
    flight::Owner,
    ids::{BackendId, ClientId},
    ports::Line,
    reply::Refusal,
};

/// How long a client may not read its answers while those of others are behind them.
const STALL_LIMIT: Duration = Duration::from_secs(5);

/// How often that is looked at.
const STALL_PAUSE: Duration = Duration::from_millis(200);

const READ_SIZE: usize = 64 << 10;

impl Inner {
    /// The backend that all share. Returns the client that the `Db` is.
    pub(crate) fn add_shared(&self, connection: Established, with_local: bool) -> ClientId {
        let mut local = ClientId(0);
        self.add(connection, |core, backend| {
            let (id, client) = core.attach(backend, with_local)?;
            local = client;
            Some(id)
        });
        local
    }

    /// A backend for one client.
    pub(crate) fn add_own(&self, of: ClientId, connection: Established) {
        self.add(connection, |core, backend| core.moved(of, backend));
    }

    fn add(
        &self,
        connection: Established,
        change: impl FnOnce(&mut Core, Backend) -> Option<BackendId>,
    ) {
        let backend = Backend::new(parameters(&connection.greeting));
        let (read, write) = tokio::io::split(connection.stream);
        let (wake, stop) = (Arc::<Notify>::default(), CancellationToken::new());
        let line = Line {
            write,
            is_blocked: false,
            wake: wake.clone(),
            cancel: Arc::new(connection.cancel),
            stop: stop.clone(),
        };
        let added = self.add_line(|core| change(core, backend), line);
        if let (Some(id), Some(me)) = (added, self.me.upgrade()) {
            self.spawn(me.drive(id, read, wake, stop));
        }
    }

    /// Reads the backend's answers until it ends.
    async fn drive(
        self: Arc<Self>,
        id: BackendId,
        mut read: ReadHalf<Box<dyn Stream>>,
        wake: Arc<Notify>,
        stop: CancellationToken,
    ) {
        let mut buffer = BytesMut::with_capacity(READ_SIZE);
        let mut stalled: Option<Instant> = None;
        let why = loop {
            let (blocked_by, is_full) = self.line(id);
            stalled = blocked_by.and(stalled.or_else(|| Some(Instant::now())));
            buffer.reserve(READ_SIZE / 2);
            tokio::select! {
                biased;
                () = stop.cancelled() => break None,
                () = poll_fn(|context| self.poll_line(id, context)), if is_full => {
                    self.with(|core| core.pump(id));
                }
                () = wake.notified() => {}
                () = tokio::time::sleep(STALL_PAUSE), if stalled.is_some() => {
                    let is_over = stalled.is_some_and(|since| since.elapsed() >= STALL_LIMIT);
                    self.relieve_others(id, blocked_by, is_over);
                }
                length = read.read_buf(&mut buffer), if blocked_by.is_none() => match length {
                    Ok(0) => break Some("it has closed the connection".to_owned()),
                    Err(error) => break Some(error.to_string()),
                    Ok(_) => if let Err(error) = self.with(|core| core.hear_all(id, &mut buffer)) {
                        break Some(error.to_string());
                    }
                },
            }
        };
        if let Some(why) = why {
            let why = Refusal::new(
                "57P01",
                format!("the backend of this connection has ended: {why}"),
            );
            self.with(|core| core.lose(id, &why));
        }
        self.remove_line_gently(id, read).await;
    }

    /// A client does not read. Those who wait for their turn get another backend, since the client may wait for one of
    /// them; if answers of others are behind its own, it is cut off in the end.
    fn relieve_others(&self, id: BackendId, client: Option<ClientId>, is_over: bool) {
        let Some(client) = client else { return };
        self.with(|core| {
            let Some(backend) = core.backends.get_mut(&id) else {
                return;
            };
            let own = Owner::Client(client);
            let others = backend.flight.iter().any(|unit| unit.owner != own);
            if others && is_over {
                let what = format!(
                    "it has not read its answers for {} s while others wait for theirs",
                    STALL_LIMIT.as_secs()
                );
                core.refuse(client, &Refusal::new("57014", what));
            } else if !others
                && !core.queue.is_empty()
                && core.shared == Some(id)
                && core.local != Some(client)
            {
                backend.hold(client);
                core.keep_own(id, client, Left::Turn);
            }
        });
    }

    /// Says Terminate, so that the server does not log a broken connection.
    async fn remove_line_gently(&self, id: BackendId, read: ReadHalf<Box<dyn Stream>>) {
        let Some(line) = self.take_line(id) else {
            return;
        };
        let mut stream = read.unsplit(line.write);
        let farewell = async {
            stream.write_all(&[b'X', 0, 0, 0, 4]).await?;
            stream.shutdown().await
        };
        // It is closed in any case.
        drop(tokio::time::timeout(Duration::from_secs(1), farewell).await);
    }
}

//! Clients that come over a Unix socket: their startup, and the task that reads what they say.

use std::{future::poll_fn, io, path::Path, sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream, unix::OwnedReadHalf},
    sync::Notify,
};

use crate::{
    core::Core,
    exchange::{Exchange, Inner},
    identity::Identity,
    ids::ClientId,
    ports::Sink,
    reply::Refusal,
    startup::{self, Packet, Startup},
};

/// How long a client may take to say what it wants.
const STARTUP_LIMIT: Duration = Duration::from_secs(10);

const READ_SIZE: usize = 16 << 10;

impl Exchange {
    /// Lets clients in at `socket`, which must not exist, until the exchange is closed. Its directory decides who may
    /// come: it should let in its owner only.
    ///
    /// # Errors
    ///
    /// The socket cannot be made.
    pub fn listen(&self, socket: &Path) -> io::Result<()> {
        let listener = UnixListener::bind(socket)?;
        let inner = self.0.clone();
        self.0.spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let client = inner.clone();
                        inner.spawn(async move { client.serve(stream).await });
                    }
                    Err(error) => {
                        tracing::warn!("a database client cannot be let in: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
        Ok(())
    }
}

impl Inner {
    async fn serve(self: Arc<Self>, mut stream: UnixStream) {
        let mut buffer = BytesMut::with_capacity(READ_SIZE);
        let started =
            tokio::time::timeout(STARTUP_LIMIT, self.start(&mut stream, &mut buffer)).await;
        let startup = match started {
            Ok(Ok(Some(startup))) => startup,
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(refusal)) => {
                let mut out = BytesMut::new();
                refusal.put("FATAL", &mut out);
                // It may be gone already.
                drop(stream.write_all(&out).await);
                return;
            }
        };
        let (read, write) = stream.into_split();
        let wake = Arc::<Notify>::default();
        let sink = Sink::Socket {
            write: Box::new(write),
            wake: wake.clone(),
        };
        let secret = random();
        let mut negotiation = BytesMut::new();
        startup.put_negotiation(&mut negotiation);
        let join = |core: &mut Core| {
            let id = core.join(startup.name, secret, startup.settings);
            // Before anything else that it is told.
            if let Some(out) = core.out_of(id) {
                negotiation.extend_from_slice(out);
                *out = negotiation;
            }
            id
        };
        let id = self.join(join, sink);
        self.converse(id, read, buffer, &wake).await;
        self.with(|core| core.leave(id));
        self.remove_client(id);
    }

    /// Up to the packet that says who it is. `None`: it wanted no more.
    async fn start(
        &self,
        stream: &mut UnixStream,
        buffer: &mut BytesMut,
    ) -> Result<Option<Startup>, Refusal> {
        loop {
            match startup::next(buffer)? {
                Some(Packet::Encryption) => {
                    if stream.write_all(b"N").await.is_err() {
                        return Ok(None);
                    }
                }
                Some(Packet::Cancel(key)) => {
                    self.with(|core| core.cancel(key));
                    return Ok(None);
                }
                Some(Packet::Startup(startup)) => {
                    check(&startup, &self.identity())?;
                    return Ok(Some(startup));
                }
                None => match stream.read_buf(buffer).await {
                    Ok(0) | Err(_) => return Ok(None),
                    Ok(_) => {}
                },
            }
        }
    }

    /// Reads what the client says, and helps its answers out, until it has ended.
    async fn converse(
        &self,
        id: ClientId,
        mut read: OwnedReadHalf,
        mut buffer: BytesMut,
        wake: &Notify,
    ) {
        self.hear_client(id, &mut buffer);
        while let Some((is_blocked, is_paused)) = self.port(id) {
            buffer.reserve(READ_SIZE / 2);
            tokio::select! {
                biased;
                () = poll_fn(|context| self.poll_client(id, context)), if is_blocked => {}
                () = wake.notified() => {}
                length = read.read_buf(&mut buffer), if !is_paused => match length {
                    Ok(0) | Err(_) => return,
                    Ok(_) => self.hear_client(id, &mut buffer),
                },
            }
        }
    }

    fn hear_client(&self, id: ClientId, buffer: &mut BytesMut) {
        self.with_state(|state| {
            if let Err(error) = state.core.say_all(id, buffer) {
                let why = Refusal::new("08P01", error.to_string());
                state.core.refuse(id, &why);
            }
            // Until what has been said is sent.
            let is_full = state.core.is_full_of(id);
            if let Some(port) = state.clients.get_mut(&id) {
                port.is_paused = is_full;
            }
        });
    }
}

fn check(startup: &Startup, identity: &Identity) -> Result<(), Refusal> {
    if startup.database != identity.database {
        let what = format!(
            "this socket leads to the database \"{}\", and not to \"{}\"",
            identity.database, startup.database
        );
        return Err(Refusal::new("3D000", what)
            .with_hint("set another DATABASE_URL in .env, or connect to its server directly"));
    }
    if startup.user != identity.user {
        let what = format!(
            "this socket leads to sessions of the role \"{}\", and not of \"{}\"",
            identity.user, startup.user
        );
        return Err(Refusal::new("28000", what).with_hint("after connecting, SET ROLE changes it"));
    }
    Ok(())
}

/// What a stranger cannot guess: the standard library seeds its hasher from the system.
fn random() -> i32 {
    use std::hash::{BuildHasher, RandomState};
    let hash = RandomState::new().hash_one(0);
    i32::from_be_bytes(
        hash.to_be_bytes()[..4]
            .try_into()
            .expect("four of eight bytes"),
    )
}

//! The listening socket: the one that systemd passes (`LISTEN_FDS`), or one that is bound here.
//!
//! Whose it is decides how it ends. Ours is closed, and nobody may be cut off by that. systemd's stays open there, and
//! clients that connect later wait in its queue for the next process.

use std::{
    io,
    net::{self, SocketAddr},
};

use host_accept::{Answer, Limits};
use listenfd::ListenFd;
use shared::{BoxError, env::Env};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::server::listen;

/// What systemd has passed to this process, if anything.
pub(crate) struct Passed(io::Result<Option<net::TcpListener>>);

impl Passed {
    /// Call it while the process has one thread: it also takes the variables out of the environment, so that child
    /// processes do not find them.
    pub(crate) fn take() -> Self {
        Self(ListenFd::from_env().take_tcp_listener(0))
    }
}

pub(super) struct Listener {
    socket: TcpListener,
    is_ours: bool,
}

impl Listener {
    /// Takes the one that was passed; then `HOST` and `PORT` are not read.
    pub(super) fn new(passed: Passed, env: &Env) -> Result<Self, BoxError> {
        let passed = passed.0.map_err(|error| {
            format!("cannot use the socket that systemd has passed: {error}; write an address with a port after ListenStream=")
        })?;
        let is_ours = passed.is_none();
        let socket = match passed {
            Some(passed) => {
                passed.set_nonblocking(true)?;
                passed
            }
            None => listen::bind(env.host, env.port)?,
        };
        Ok(Self {
            socket: TcpListener::from_std(socket)?,
            is_ours,
        })
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// For the line that says where it serves.
    pub(super) fn note(&self) -> &'static str {
        match self.is_ours {
            true => "",
            false => " (the socket that systemd has passed)",
        }
    }

    /// Until `stop` and the end of what is under way. Returns how many connections were cut off.
    pub(super) async fn serve(
        self,
        answer: Answer,
        stop: CancellationToken,
        limits: Limits,
    ) -> usize {
        match self.is_ours {
            true => host_accept::serve_and_close(self.socket, answer, stop, limits, refuse).await,
            false => host_accept::serve(&self.socket, answer, stop, limits).await,
        }
    }
}

/// Has the kernel drop what begins a connection to this socket: a SYN without ACK. Its client tries again after a second,
/// and is then refused or reaches another process. Handshakes that have begun are completed.
#[cfg(target_os = "linux")]
fn refuse(listener: &TcpListener) -> io::Result<()> {
    use socket2::{SockFilter, SockRef};

    const FLAGS: u32 = 13; // the byte of a TCP header that holds them
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    // In the words of classic BPF: load a byte, mask it, compare, return how much of the packet is kept.
    let filter = [
        SockFilter::new(0x30, 0, 0, FLAGS),
        SockFilter::new(0x54, 0, 0, SYN | ACK),
        SockFilter::new(0x15, 0, 1, SYN),
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ];
    SockRef::from(listener).attach_filter(&filter)
}

/// Only Linux filters what reaches a listener. Without it, a client that connects in the last moment may be cut off.
#[cfg(not(target_os = "linux"))]
fn refuse(_: &TcpListener) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

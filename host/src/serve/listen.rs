//! The listening socket: bound here, or inherited from the process before a restart.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener},
};

/// Why nobody can connect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("port {port} is taken{by}: stop that process, or choose another port (--port {next}, --port 0 for a free one)", next = port.wrapping_add(1))]
    Taken { port: u16, by: String },
    #[error("cannot listen on {address}: {source}")]
    Bind {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot use the socket inherited from before the restart: {0}")]
    #[cfg(feature = "dev")]
    Inherited(io::Error),
}

/// Binds, or says who has the port.
pub(crate) fn bind(host: IpAddr, port: u16) -> Result<TcpListener, ListenError> {
    let address = SocketAddr::new(host, port);
    // std sets SO_REUSEADDR, so connections of a run before, still in TIME_WAIT, do not count as "taken".
    let listener = TcpListener::bind(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken {
            port,
            by: holder(port),
        },
        _ => ListenError::Bind { address, source },
    })?;
    nonblocking(listener).map_err(|source| ListenError::Bind { address, source })
}

/// The socket that the image before passed on (listenfd's convention), if there is one.
#[cfg(feature = "dev")]
pub(crate) fn inherited() -> Result<Option<TcpListener>, ListenError> {
    let listener = listenfd::ListenFd::from_env()
        .take_tcp_listener(0)
        .map_err(ListenError::Inherited)?;
    let Some(listener) = listener else {
        return Ok(None);
    };
    // It crossed `exec` without close-on-exec; from here on children must not get it.
    nix::fcntl::fcntl(
        &listener,
        nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC),
    )
    .map_err(|errno| ListenError::Inherited(errno.into()))?;
    nonblocking(listener)
        .map(Some)
        .map_err(ListenError::Inherited)
}

fn nonblocking(listener: TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(feature = "dev")]
fn holder(port: u16) -> String {
    match listeners::get_process_by_port(port, listeners::Protocol::TCP) {
        Ok(process) => format!(" by {} (pid {})", process.name, process.pid),
        Err(_) => String::new(), // another user's process, or another system's /proc
    }
}

#[cfg(not(feature = "dev"))]
fn holder(_: u16) -> String {
    String::new()
}

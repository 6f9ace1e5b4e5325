//! Binds the listening socket, or explains why it cannot.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener},
};

/// Why the socket cannot be bound.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("port {port} is taken{by}: stop that process, or choose another port (--port {next}, --port 0 for a free one)", next = port.wrapping_add(1))]
    Taken { port: u16, by: String },
    #[error("cannot listen on {address}: {source}")]
    Bind {
        address: SocketAddr,
        source: io::Error,
    },
}

/// Binds the socket. If the port is taken, the error names the process that holds it.
pub(crate) fn bind(host: IpAddr, port: u16) -> Result<TcpListener, ListenError> {
    let address = SocketAddr::new(host, port);
    // std sets SO_REUSEADDR, so connections of an earlier run in TIME_WAIT do not count as "taken".
    let listener = TcpListener::bind(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken {
            port,
            by: holder(port),
        },
        _ => ListenError::Bind { address, source },
    })?;
    nonblocking(listener).map_err(|source| ListenError::Bind { address, source })
}

fn nonblocking(listener: TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(feature = "dev")]
fn holder(port: u16) -> String {
    match listeners::get_process_by_port(port, listeners::Protocol::TCP) {
        Ok(process) => format!(" by {} (pid {})", process.name, process.pid),
        Err(_) => String::new(), // another user's process, or no /proc
    }
}

#[cfg(not(feature = "dev"))]
fn holder(_: u16) -> String {
    String::new()
}

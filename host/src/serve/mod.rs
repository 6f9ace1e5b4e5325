//! A request, from the socket to the app and back. Read the modules downward.
//!
//! Connections, HTTP/1.1, HTTP/2, upgrades and the orderly end of all of them are `host_accept`'s, between `listen`
//! and `dispatch`. Knows nothing of reloading: it asks [`generation`](crate::generation) for a lease and runs the
//! request there.

// The socket: bound, or taken over from the process before.
pub(crate) mod listen;

// The request's way into a generation and out of it.
#[cfg(feature = "dev")]
pub(crate) mod dispatch;

// Its response's way back.
#[cfg(feature = "dev")]
mod body;

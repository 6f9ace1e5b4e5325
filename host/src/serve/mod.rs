//! A request, from the socket to the app and back. Read the modules downward.
//!
//! Knows nothing of reloading: it asks [`generation`](crate::generation) for a lease and runs the request there.

// The socket: bound, or taken over from the process before.
pub(crate) mod listen;

// Connections: HTTP/1.1 and HTTP/2, upgrades, and the orderly end of all of them.
pub(crate) mod accept;

// The request's way into a generation and out of it.
#[cfg(feature = "dev")]
pub(crate) mod dispatch;

// Its response's way back.
#[cfg(feature = "dev")]
mod body;

// What a connection holds on to after it stopped being HTTP.
mod tether;

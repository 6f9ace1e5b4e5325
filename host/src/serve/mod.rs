//! The path of a request, from the socket to the app and back. Read the modules from top to bottom.
//!
//! Between `listen` and `dispatch` is the crate `host_accept`: connections, HTTP/1.1, HTTP/2, upgrades and graceful
//! shutdown. Nothing here depends on reloading: a request takes a lease from [`generation`](crate::generation) and runs
//! there.

// The listening socket.
pub(crate) mod listen;

// Runs the request in a generation.
#[cfg(feature = "dev")]
pub(crate) mod dispatch;

// Brings the response body back.
#[cfg(feature = "dev")]
mod body;

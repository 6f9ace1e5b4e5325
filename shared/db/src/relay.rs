//! What another party needs to share the backend of a [`Db`](super::Db).
//!
//! Only the contract: who implements it reads and writes PostgreSQL's protocol. Without a relay, nothing here is used.

use std::{any::Any, fmt, io};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{cancel::Cancel, stream::Stream};

/// A connection just after its startup: the server has said ReadyForQuery and waits.
pub struct Established {
    /// Inside TLS, if the server speaks it. Nothing has been read from it after the greeting, except the answer to the
    /// check of `target_session_attrs`.
    pub stream: Box<dyn Stream>,
    /// What the server said from AuthenticationOk to ReadyForQuery, as received.
    pub greeting: Bytes,
    /// Cancels what its backend runs.
    pub cancel: Cancel,
}

/// Shares the one connection of a [`Db`](super::Db) with others.
///
/// Of several connections it gets one: the one that statements share. The others, for transactions and checkouts, lead
/// to the server directly.
pub trait Relay: Send + Sync + 'static {
    /// Takes a connection over and returns the stream over which the `Db` goes on, as after a startup of its own.
    ///
    /// The `Db` sends a statement at once, and waits for its answer no longer than for a connection. This is called
    /// again after a loss, and never before the stream that it returned last is closed. Once that is closed, with or
    /// without a Terminate message, nobody knows what the `Db` has left in the session.
    fn take(&self, connection: Established) -> Box<dyn Stream>;

    /// While the guard lives, the `Db` has the backend to itself, between transactions too. It is dropped once the
    /// session is clean or the `Db`'s stream is closed.
    fn hold(&self) -> Box<dyn Any + Send + Sync>;

    /// Cancels what the `Db` itself runs or waits to run, and nothing of others.
    fn cancel(&self) -> BoxFuture<'_, Result<(), io::Error>>;
}

impl fmt::Debug for dyn Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Relay")
    }
}

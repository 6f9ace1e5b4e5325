//! Whom a connection leads to: the server, or the relay that stands in for it.

use std::{any::Any, sync::Arc};

use futures_util::FutureExt;
use tokio_postgres::Client;

use super::{cancel::Cancel, relay::Relay, tap::Valve, tls::Tls};

#[derive(Clone)]
pub(super) enum Peer {
    /// With the TLS for a cancel: the pool's URL may have changed since the connection was opened.
    Server(Tls),
    Relay {
        relay: Arc<dyn Relay>,
        valve: Valve,
    },
}

/// While it lives, others who use the relay wait.
pub(super) type Hold = Box<dyn Any + Send + Sync>;

impl Peer {
    /// `client` must be the connection's.
    pub(super) fn cancel(&self, client: &Client) -> Cancel {
        match self {
            Self::Server(tls) => Cancel::of_client(client, tls),
            Self::Relay { relay, .. } => {
                let relay = relay.clone();
                Cancel::by(move || {
                    let relay = relay.clone();
                    async move { relay.cancel().await }.boxed()
                })
            }
        }
    }

    /// Keeps others off the session. Without a relay there are none.
    pub(super) fn hold(&self) -> Option<Hold> {
        match self {
            Self::Server(_) => None,
            Self::Relay { relay, .. } => Some(relay.hold()),
        }
    }

    /// Closes the relay's stream. The task that drives a discarded connection ends at some later time, and a hold must
    /// not end before the stream.
    pub(super) fn cut(&self) {
        if let Self::Relay { valve, .. } = self {
            valve.close();
        }
    }
}

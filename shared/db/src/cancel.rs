//! Cancels statements, over a connection of its own.
//!
//! It uses the same TLS as the connection whose statement it cancels: in clear text it would expose the session's cancel
//! key.

use std::{io, sync::Arc};

use futures_util::future::BoxFuture;
use tokio_postgres::{CancelToken, Client};

use super::{socket::Place, tls::Tls, url::DatabaseUrl};

/// Cancels a connection's running statement while other code owns the connection.
#[derive(Clone)]
pub struct Cancel(Way);

#[derive(Clone)]
enum Way {
    /// tokio-postgres has opened the socket, and knows where another leads to the same server.
    Client(CancelToken, Tls),
    /// It was given the socket.
    Place(CancelToken, Tls, Place),
    /// The backend may run a statement of others: who shares it out cancels.
    Shared(Arc<dyn Fn() -> Cancelling + Send + Sync>),
}

type Cancelling = BoxFuture<'static, Result<(), io::Error>>;

impl Cancel {
    /// `url` must be the one that `client` was opened with, by [`connect`](super::connect()). For a
    /// [`Checkout`](super::Checkout) there is [`Checkout::cancel`](super::Checkout::cancel).
    #[must_use]
    pub fn of(client: &Client, url: &DatabaseUrl) -> Self {
        Self::of_client(client, url.tls())
    }

    /// `tls` must be that of the URL that `client` was opened with.
    pub(super) fn of_client(client: &Client, tls: &Tls) -> Self {
        Self(Way::Client(client.cancel_token(), tls.clone()))
    }

    /// `client` runs over a socket to `place`.
    pub(super) fn at(place: Place, client: &Client, tls: &Tls) -> Self {
        Self(Way::Place(client.cancel_token(), tls.clone(), place))
    }

    pub(super) fn by(cancel: impl Fn() -> Cancelling + Send + Sync + 'static) -> Self {
        Self(Way::Shared(Arc::new(cancel)))
    }

    /// Sends the request. The server does not report whether there was anything to cancel. For an
    /// [`Established`](super::Established) connection this waits until the server has handled it, so that nothing that is
    /// sent afterwards can be hit.
    ///
    /// # Errors
    ///
    /// The request could not be sent.
    pub async fn send(&self) -> Result<(), io::Error> {
        let sent = match &self.0 {
            Way::Client(token, tls) => token.cancel_query(tls.connector()).await,
            Way::Place(token, tls, place) => {
                let socket = place.open_for_a_cancel().await?;
                let handshake = tls.handshake(place.hostname());
                token.cancel_query_raw(socket, handshake).await
            }
            Way::Shared(cancel) => return cancel().await,
        };
        sent.map_err(io::Error::other)
    }
}

//! The one place that opens a connection, and that cancels a statement of one.
//!
//! Both go through the URL's TLS: a cancel that spoke in the clear would show everybody the key of the session.

use std::time::Duration;

use tokio_postgres::{Client, Socket, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{error::describe, pool::DbConfig, tls::Tls};

/// What drives a connection: to be spawned on the runtime that shall own it.
pub type Connection =
    tokio_postgres::Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// No connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The limit ran out.
    #[error("{url} did not answer within {} ms (DATABASE_CONNECT_TIMEOUT_MS)", limit.as_millis())]
    Silent {
        /// Where to, masked.
        url: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The server, or what lies before it, said no.
    #[error("cannot connect to {url}: {}", describe(source))]
    Refused {
        /// Where to, masked.
        url: String,
        /// Why.
        source: tokio_postgres::Error,
    },
}

/// Opens a connection of its own, beside any pool, on the current runtime.
///
/// # Errors
///
/// [`ConnectError`], which names the server and what to do.
pub async fn connect(config: &DbConfig) -> Result<(Client, Connection), ConnectError> {
    let settings = config.connection();
    let opening = open(&settings, config.url.tls());
    // tokio-postgres bounds the TCP connect only; a server may accept and then say nothing.
    match tokio::time::timeout(config.connect_timeout, opening).await {
        Ok(opened) => opened.map_err(|source| ConnectError::Refused {
            url: config.url.to_string(),
            source,
        }),
        Err(_) => Err(ConnectError::Silent {
            url: config.url.to_string(),
            limit: config.connect_timeout,
        }),
    }
}

/// Without a limit: the pool has one.
pub(super) async fn open(
    config: &tokio_postgres::Config,
    tls: &Tls,
) -> Result<(Client, Connection), tokio_postgres::Error> {
    config.connect(tls.connector()).await
}

/// Asks the server to end what `client` runs. `tls` is that of the URL which `client` was opened by.
pub(super) async fn cancel(client: &Client, tls: &Tls) -> Result<(), tokio_postgres::Error> {
    client.cancel_token().cancel_query(tls.connector()).await
}

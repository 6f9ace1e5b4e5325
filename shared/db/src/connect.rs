//! Opens connections.
//!
//! Owns the order of the addresses: as in the URL, each with the full time limit, until one is what the URL asks for.

use std::time::Duration;

use tokio_postgres::{Client, Config, Socket, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    address::addresses,
    config::DbConfig,
    failed_attempts::{ConnectError, ConnectFailure, FailedAttempts},
    tls::Tls,
};

/// Drives a connection: spawn it on the runtime that is to own it.
pub type Connection =
    tokio_postgres::Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Opens a connection outside any pool, on the current runtime.
///
/// # Errors
///
/// [`ConnectError`], which names the server and what to do.
pub async fn connect(config: &DbConfig) -> Result<(Client, Connection), ConnectError> {
    let settings = config.connection();
    let opened = open(&settings, config.url.tls()).await;
    opened.map_err(|tried| ConnectError::new(&config.url, tried))
}

pub(super) async fn open(
    config: &Config,
    tls: &Tls,
) -> Result<(Client, Connection), FailedAttempts> {
    let connect = |address: Config| {
        let tls = tls.connector();
        async move { Ok(address.connect(tls).await?) }
    };
    at_first_address(config, connect).await
}

/// Runs `connect` for each address of `config` until one succeeds. `connect_timeout` limits the whole attempt at each:
/// tokio-postgres applies it to the TCP connect only, and a server may accept and then not answer.
pub(super) async fn at_first_address<T, F>(
    config: &Config,
    connect: impl Fn(Config) -> F,
) -> Result<T, FailedAttempts>
where
    F: Future<Output = Result<T, ConnectFailure>>,
{
    let mut failures = Vec::new();
    let limit = config.get_connect_timeout().copied();
    let limit = limit.unwrap_or(Duration::MAX);
    for address in addresses(config) {
        match tokio::time::timeout(limit, connect(address.config)).await {
            Ok(Ok(opened)) => return Ok(opened),
            Ok(Err(failure)) => failures.push((address.name, failure)),
            Err(_) => failures.push((address.name, ConnectFailure::Timeout(limit))),
        }
    }
    Err(FailedAttempts::new(config, failures))
}

//! The one place that opens connections and cancels statements.
//!
//! Owns the order of the addresses: as in the URL, each with the full time limit, until one is what the URL asks for. A
//! cancel uses the same TLS as the connection: in clear text it would expose the session's cancel key.

use std::{error::Error, fmt, io, time::Duration};

use futures_util::stream;
use tokio_postgres::{
    CancelToken, Client, Config, NoTls, Socket, config::TargetSessionAttrs, tls::MakeTlsConnect,
};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::io::StreamReader;

use super::{address::addresses, error::describe, pool::DbConfig, tls::Tls, url::DatabaseUrl};

/// Drives a connection: spawn it on the runtime that is to own it.
pub type Connection =
    tokio_postgres::Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// No connection could be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {url}: {tried}")]
pub struct ConnectError {
    /// The URL, password masked.
    url: String,
    tried: FailedAttempts,
}

impl ConnectError {
    pub(super) fn reason(&self) -> String {
        format!("{}: {}", self.url, self.tried)
    }
}

/// How each address failed, in the order of the URL.
#[derive(Debug)]
pub(super) struct FailedAttempts {
    wanted: TargetSessionAttrs,
    failures: Vec<(String, ConnectFailure)>,
}

#[derive(Debug)]
enum ConnectFailure {
    /// No answer within the limit.
    Timeout(Duration),
    /// An error from the server or the network.
    Error(tokio_postgres::Error),
}

/// Opens a connection outside any pool, on the current runtime.
///
/// # Errors
///
/// [`ConnectError`], which names the server and what to do.
pub async fn connect(config: &DbConfig) -> Result<(Client, Connection), ConnectError> {
    let settings = config.connection();
    let opened = open(&settings, config.url.tls()).await;
    opened.map_err(|tried| ConnectError {
        url: config.url.to_string(),
        tried,
    })
}

/// `connect_timeout` of `config` limits the whole attempt at each address: tokio-postgres applies it to the TCP connect
/// only, and a server may accept and then not answer.
pub(super) async fn open(
    config: &Config,
    tls: &Tls,
) -> Result<(Client, Connection), FailedAttempts> {
    let mut failures = Vec::new();
    let limit = config.get_connect_timeout().copied();
    let limit = limit.unwrap_or(Duration::MAX);
    for address in addresses(config) {
        let opening = address.config.connect(tls.connector());
        match tokio::time::timeout(limit, opening).await {
            Ok(Ok(opened)) => return Ok(opened),
            Ok(Err(error)) => failures.push((address.name, ConnectFailure::Error(error))),
            Err(_) => failures.push((address.name, ConnectFailure::Timeout(limit))),
        }
    }
    Err(FailedAttempts {
        wanted: config.get_target_session_attrs(),
        failures,
    })
}

/// Asks the server to cancel the statement that `client` runs. `tls` must be that of the URL that `client` was opened
/// with.
pub(super) async fn cancel(client: &Client, tls: &Tls) -> Result<(), tokio_postgres::Error> {
    client.cancel_token().cancel_query(tls.connector()).await
}

/// Cancels a connection's running statement while other code owns the connection.
pub struct Cancel {
    token: CancelToken,
    tls: Tls,
}

impl Cancel {
    /// `url` must be the one that `client` was opened with.
    #[must_use]
    pub fn of(client: &Client, url: &DatabaseUrl) -> Self {
        Self {
            token: client.cancel_token(),
            tls: url.tls().clone(),
        }
    }

    /// Sends the request. The server does not report whether there was anything to cancel.
    ///
    /// # Errors
    ///
    /// The request could not be sent.
    pub async fn send(&self) -> Result<(), tokio_postgres::Error> {
        self.token.cancel_query(self.tls.connector()).await
    }
}

impl FailedAttempts {
    /// A connection that ended before it was handed out.
    pub(super) fn during_setup(config: &Config, error: tokio_postgres::Error) -> Self {
        Self {
            wanted: config.get_target_session_attrs(),
            failures: vec![(String::new(), ConnectFailure::Error(error))],
        }
    }

    /// Takes it back out of an error made by [`into_pg_error`](Self::into_pg_error).
    pub(super) fn find_in(error: &tokio_postgres::Error) -> Option<&Self> {
        let io = error.source()?.downcast_ref::<io::Error>()?;
        io.get_ref()?.downcast_ref()
    }

    /// The errors, without timeouts.
    pub(super) fn errors(&self) -> impl Iterator<Item = &tokio_postgres::Error> {
        self.failures
            .iter()
            .filter_map(|(_, failures)| match failures {
                ConnectFailure::Timeout(_) => None,
                ConnectFailure::Error(error) => Some(error),
            })
    }

    /// deadpool accepts only `tokio_postgres::Error`. A single server's error is returned as it is. There is no
    /// constructor for our own, so it is passed through a connection attempt that fails with it.
    pub(super) async fn into_pg_error(mut self) -> tokio_postgres::Error {
        match self.failures.pop() {
            Some((_, ConnectFailure::Error(error)))
                if self.failures.is_empty() && !has_wrong_role(&error) =>
            {
                error
            }
            last => {
                self.failures.extend(last);
                let failing = stream::iter([Err::<&[u8], _>(io::Error::other(self))]);
                let stream = tokio::io::join(StreamReader::new(failing), tokio::io::sink());
                let connecting = Config::new()
                    .user("nobody")
                    .connect_raw(stream, NoTls)
                    .await;
                connecting.err().expect("its first answer is the error")
            }
        }
    }

    fn has_wrong_role(&self) -> bool {
        self.errors().any(has_wrong_role)
    }
}

/// Whether the server works but is not what `target_session_attrs` asks for: tokio-postgres checks once connected.
fn has_wrong_role(error: &tokio_postgres::Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref());
    io.is_some_and(|io: &io::Error| {
        io.kind() == io::ErrorKind::PermissionDenied && io.raw_os_error().is_none()
    })
}

impl Error for FailedAttempts {}

impl fmt::Display for FailedAttempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wanted, found, cure) = match self.wanted {
            TargetSessionAttrs::ReadOnly => (
                "read-only",
                "it takes writes",
                "name the address of a standby",
            ),
            _ => (
                "read-write",
                "it is read-only",
                "name the primary's address, promote a standby, or read only, with target_session_attrs=any",
            ),
        };
        let wrong_role = self.has_wrong_role();
        if wrong_role {
            write!(f, "no server that is {wanted} was found (")?;
        }
        for (i, (name, failures)) in self.failures.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            if self.failures.len() > 1 {
                write!(f, "{name}: ")?;
            }
            match failures {
                ConnectFailure::Timeout(limit) => write!(
                    f,
                    "no answer within {} ms (DATABASE_CONNECT_TIMEOUT_MS)",
                    limit.as_millis()
                )?,
                ConnectFailure::Error(error) if has_wrong_role(error) => f.write_str(found)?,
                ConnectFailure::Error(error) => f.write_str(&describe(error))?,
            }
        }
        if wrong_role {
            write!(f, "); target_session_attrs={wanted} asks for one: {cure}")?;
        }
        Ok(())
    }
}

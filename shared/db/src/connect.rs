//! Opens connections, and says why none could be opened.
//!
//! Owns the order of the addresses: as in the URL, each with the full time limit, until one is what the URL asks for.

use std::{error::Error, fmt, io, time::Duration};

use futures_util::stream;
use tokio_postgres::{
    Client, Config, NoTls, Socket, config::TargetSessionAttrs, tls::MakeTlsConnect,
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
    pub(super) fn new(url: &DatabaseUrl, tried: FailedAttempts) -> Self {
        let url = url.to_string();
        Self { url, tried }
    }

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
pub(super) enum ConnectFailure {
    /// No answer within the limit.
    Timeout(Duration),
    /// An error from the server or the network.
    Error(tokio_postgres::Error),
    /// The same, where the socket is ours: tokio-postgres makes such an error of it only for its own.
    Socket(io::Error),
}

impl From<tokio_postgres::Error> for ConnectFailure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Error(error)
    }
}

impl From<io::Error> for ConnectFailure {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

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
    Err(FailedAttempts {
        wanted: config.get_target_session_attrs(),
        failures,
    })
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

    /// Those of tokio-postgres.
    pub(super) fn errors(&self) -> impl Iterator<Item = &tokio_postgres::Error> {
        self.failures
            .iter()
            .filter_map(|(_, failure)| match failure {
                ConnectFailure::Error(error) => Some(error),
                ConnectFailure::Timeout(_) | ConnectFailure::Socket(_) => None,
            })
    }

    /// Whether at one of the addresses there was no connection at all.
    pub(super) fn has_socket_error(&self) -> bool {
        self.failures
            .iter()
            .any(|(_, failure)| matches!(failure, ConnectFailure::Socket(_)))
    }

    /// deadpool accepts only `tokio_postgres::Error`. A single server's error is returned as it is. There is no
    /// constructor for our own, so it is passed through a connection attempt that fails with it.
    pub(super) async fn into_pg_error(mut self) -> tokio_postgres::Error {
        match self.failures.pop() {
            Some((_, ConnectFailure::Error(error)))
                if self.failures.is_empty() && !is_wrong_role(error.source()) =>
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
        self.failures
            .iter()
            .any(|(_, failure)| failure.is_wrong_role())
    }
}

impl ConnectFailure {
    /// Whether the server works but is not what `target_session_attrs` asks for: tokio-postgres checks once connected.
    fn is_wrong_role(&self) -> bool {
        match self {
            Self::Timeout(_) => false,
            Self::Error(error) => is_wrong_role(error.source()),
            Self::Socket(error) => is_wrong_role(Some(error)),
        }
    }
}

/// As tokio-postgres says it.
pub(super) fn wrong_role() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "another role")
}

fn is_wrong_role(error: Option<&(dyn Error + 'static)>) -> bool {
    let io = error.and_then(|error| error.downcast_ref());
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
        for (i, (name, failure)) in self.failures.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            if self.failures.len() > 1 {
                write!(f, "{name}: ")?;
            }
            match failure {
                ConnectFailure::Timeout(limit) => write!(
                    f,
                    "no answer within {} ms (DATABASE_CONNECT_TIMEOUT_MS)",
                    limit.as_millis()
                )?,
                wrong if wrong.is_wrong_role() => f.write_str(found)?,
                ConnectFailure::Error(error) => f.write_str(&describe(error))?,
                ConnectFailure::Socket(error) => write!(f, "{error}")?,
            }
        }
        if wrong_role {
            write!(f, "); target_session_attrs={wanted} asks for one: {cure}")?;
        }
        Ok(())
    }
}

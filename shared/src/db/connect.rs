//! The one place that opens a connection, and that cancels a statement of one.
//!
//! Owns the turn of the addresses: each in the order of the URL, each with the whole limit, until one is what the URL
//! asks for. Connection and cancel both go through the URL's TLS: a cancel that spoke in the clear would show
//! everybody the key of the session.

use std::{error::Error, fmt, io, time::Duration};

use futures_util::stream;
use tokio_postgres::{
    CancelToken, Client, Config, NoTls, Socket, config::TargetSessionAttrs, tls::MakeTlsConnect,
};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::io::StreamReader;

use super::{address::addresses, error::describe, pool::DbConfig, tls::Tls, url::DatabaseUrl};

/// What drives a connection: to be spawned on the runtime that shall own it.
pub type Connection =
    tokio_postgres::Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// No connection.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {url}: {tried}")]
pub struct ConnectError {
    /// Where to, masked.
    url: String,
    tried: Tried,
}

/// What each address said, in the order of the URL.
#[derive(Debug)]
pub(super) struct Tried {
    wanted: TargetSessionAttrs,
    said: Vec<(String, Said)>,
}

#[derive(Debug)]
enum Said {
    /// The limit ran out.
    Nothing(Duration),
    /// The server, or what lies before it, said no.
    No(tokio_postgres::Error),
}

/// Opens a connection of its own, beside any pool, on the current runtime.
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

/// `connect_timeout` of `config` is the limit of each address, for all of it: tokio-postgres bounds the TCP connect
/// only, and a server may accept and then say nothing.
pub(super) async fn open(config: &Config, tls: &Tls) -> Result<(Client, Connection), Tried> {
    let mut said = Vec::new();
    let limit = config.get_connect_timeout().copied();
    let limit = limit.unwrap_or(Duration::MAX);
    for address in addresses(config) {
        let opening = address.config.connect(tls.connector());
        match tokio::time::timeout(limit, opening).await {
            Ok(Ok(opened)) => return Ok(opened),
            Ok(Err(error)) => said.push((address.name, Said::No(error))),
            Err(_) => said.push((address.name, Said::Nothing(limit))),
        }
    }
    Err(Tried {
        wanted: config.get_target_session_attrs(),
        said,
    })
}

/// Asks the server to end what `client` runs. `tls` is that of the URL which `client` was opened by.
pub(super) async fn cancel(client: &Client, tls: &Tls) -> Result<(), tokio_postgres::Error> {
    client.cancel_token().cancel_query(tls.connector()).await
}

/// Ends what a connection runs, while somebody else has the connection.
pub struct Cancel {
    token: CancelToken,
    tls: Tls,
}

impl Cancel {
    /// `url` is the one that `client` was opened by.
    #[must_use]
    pub fn of(client: &Client, url: &DatabaseUrl) -> Self {
        Self {
            token: client.cancel_token(),
            tls: url.tls().clone(),
        }
    }

    /// Asks the server, which tells nobody whether there was anything to end.
    ///
    /// # Errors
    ///
    /// The server could not be asked.
    pub async fn send(&self) -> Result<(), tokio_postgres::Error> {
        self.token.cancel_query(self.tls.connector()).await
    }
}

impl Tried {
    /// A connection that ended before anybody had it.
    pub(super) fn lost(config: &Config, error: tokio_postgres::Error) -> Self {
        Self {
            wanted: config.get_target_session_attrs(),
            said: vec![(String::new(), Said::No(error))],
        }
    }

    /// What was found in an error of [`into_theirs`](Self::into_theirs).
    pub(super) fn within(error: &tokio_postgres::Error) -> Option<&Self> {
        let io = error.source()?.downcast_ref::<io::Error>()?;
        io.get_ref()?.downcast_ref()
    }

    /// What the servers said, as far as they said something.
    pub(super) fn errors(&self) -> impl Iterator<Item = &tokio_postgres::Error> {
        self.said.iter().filter_map(|(_, said)| match said {
            Said::Nothing(_) => None,
            Said::No(error) => Some(error),
        })
    }

    /// For a pool, which takes no other. The error of a single server stays what it is; of ours tokio-postgres makes
    /// none, so that it comes out of a connection which fails with it.
    pub(super) async fn into_theirs(mut self) -> tokio_postgres::Error {
        match self.said.pop() {
            Some((_, Said::No(error))) if self.said.is_empty() && !is_other_kind(&error) => error,
            last => {
                self.said.extend(last);
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

    fn is_other_kind(&self) -> bool {
        self.errors().any(is_other_kind)
    }
}

/// A server that works, and is not what `target_session_attrs` asks for: tokio-postgres looks once connected.
fn is_other_kind(error: &tokio_postgres::Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref());
    io.is_some_and(|io: &io::Error| {
        io.kind() == io::ErrorKind::PermissionDenied && io.raw_os_error().is_none()
    })
}

impl Error for Tried {}

impl fmt::Display for Tried {
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
        let other_kind = self.is_other_kind();
        if other_kind {
            write!(f, "no server that is {wanted} was found (")?;
        }
        for (i, (name, said)) in self.said.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            if self.said.len() > 1 {
                write!(f, "{name}: ")?;
            }
            match said {
                Said::Nothing(limit) => write!(
                    f,
                    "no answer within {} ms (DATABASE_CONNECT_TIMEOUT_MS)",
                    limit.as_millis()
                )?,
                Said::No(error) if is_other_kind(error) => f.write_str(found)?,
                Said::No(error) => f.write_str(&describe(error))?,
            }
        }
        if other_kind {
            write!(f, "); target_session_attrs={wanted} asks for one: {cure}")?;
        }
        Ok(())
    }
}

//! Why no connection could be opened, at each address that was tried; and the words of an error of tokio-postgres.
//!
//! A pool passes only errors of tokio-postgres on, so failed attempts travel inside of one.

use std::{error::Error, fmt, io, time::Duration};

use futures_util::stream;
use tokio_postgres::{Config, NoTls, config::TargetSessionAttrs, error::Severity};
use tokio_util::io::StreamReader;

use super::{tls, url::DatabaseUrl};

/// tokio-postgres has no other mark for a connection that could not be made.
const CONNECTING: &str = "error connecting to server";

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

impl FailedAttempts {
    /// At the addresses of `config`, by their names.
    pub(super) fn new(config: &Config, failures: Vec<(String, ConnectFailure)>) -> Self {
        Self {
            wanted: config.get_target_session_attrs(),
            failures,
        }
    }

    /// A connection that ended before it was handed out.
    pub(super) fn during_setup(config: &Config, error: tokio_postgres::Error) -> Self {
        Self::new(config, vec![(String::new(), ConnectFailure::Error(error))])
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

/// The full text of an error: tokio-postgres prints "db error" and keeps the message in its source.
#[must_use]
pub fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        // `ERROR` is left out: log lines have their own level.
        let severity = match db.parsed_severity() {
            Some(Severity::Error) => String::new(),
            _ => format!("{} ", db.severity()),
        };
        let mut text = format!("{severity}{}: {}", db.code().code(), db.message());
        if let Some(detail) = db.detail() {
            text.push_str(&format!(" ({detail})"));
        }
        if let Some(hint) = db.hint() {
            text.push_str(&format!("; hint: {hint}"));
        }
        return text;
    }
    if let Some(tried) = FailedAttempts::find_in(error) {
        return tried.to_string();
    }
    if let Some(words) = tls::in_words(error) {
        return words;
    }
    match error.source() {
        // The caller knows that it is about connecting.
        Some(source) if error.to_string() == CONNECTING => source.to_string(),
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

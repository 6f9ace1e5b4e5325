//! What can go wrong between a handler and PostgreSQL, split by what the caller can do about it.
//!
//! The texts are for logs: they may quote SQL and data, so they never belong in an answer.

use std::{error::Error, time::Duration};

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::error::{Severity, SqlState};

use super::{
    failed_attempts::{ConnectError, FailedAttempts, describe},
    holder::Holder,
};

const SILENT: &str = "it answers neither this connection nor a new one";

/// A failed use of [`Db`](super::Db). Each says all there is to say: none has a source that would say it again.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// Others held the connection for too long. Nothing was sent.
    #[error("{} waited {} ms for the database connection (DATABASE_WAIT_TIMEOUT_MS); {}", asked, limit.as_millis(), named(holders))]
    Wait {
        /// The limit that ran out.
        limit: Duration,
        /// The line that asked, or the host.
        asked: String,
        /// Who held it when the wait ended.
        holders: Vec<Holder>,
    },
    /// The request holds the connection alone already and would wait for itself. Nothing was sent.
    #[error(
        "{asked} asks for the database connection, which this request has held since {held}: it would wait for itself. \
         Inside a transaction use its `tx`; give a checkout back first"
    )]
    Nested {
        /// The line that took it.
        held: String,
        /// The line that asked again.
        asked: String,
    },
    /// The statement would change a session that others share, or end a transaction that the caller does not control.
    /// Nothing was sent.
    #[error("`{statement} …` at {line} is not allowed there; use {instead}")]
    Misplaced {
        /// The line that asked.
        line: String,
        /// Its first word.
        statement: String,
        /// What to use instead.
        instead: &'static str,
    },
    /// Another request's attempt to open the connection has just failed. Nothing was sent.
    #[error("cannot connect to PostgreSQL: {reason}")]
    Unreachable {
        /// The error of that attempt.
        reason: String,
    },
    /// No connection could be opened. Nothing was sent.
    #[error("cannot connect to PostgreSQL: {}", connect_reason(.0))]
    Connect(PoolError),
    /// The process runs without a database: see [`DatabaseUrl::absent`](super::DatabaseUrl::absent).
    #[error("{why}")]
    Absent {
        /// What the process says about it.
        why: &'static str,
    },
    /// The server neither answers nor closes the connection.
    #[error("the database is silent: {SILENT}; {}", sent_or_not(*.sent))]
    Silent {
        /// Whether the statement may already be with the server.
        sent: bool,
    },
    /// PostgreSQL refused the statement, or the connection was lost while it ran.
    #[error("{}", describe(.0))]
    Statement(tokio_postgres::Error),
    /// [`Db::query_one`](super::Db::query_one) or [`query_opt`](super::Db::query_opt) got another number of rows.
    #[error("the query returned {found} rows, not {wanted}")]
    Rows {
        /// In words.
        wanted: &'static str,
        /// How many came.
        found: usize,
    },
    /// A row does not fit the struct that was to be made of it: a column is missing, NULL, or of another type.
    #[error("{reason}")]
    Row {
        /// Its name.
        column: String,
        /// What was wanted and what was found.
        reason: String,
    },
}

impl DbError {
    /// PostgreSQL's code, when it was PostgreSQL that refused.
    #[must_use]
    pub fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Statement(error) => error.code(),
            Self::Connect(PoolError::Backend(error)) => match FailedAttempts::find_in(error) {
                Some(tried) => tried.errors().find_map(tokio_postgres::Error::code),
                None => error.code(),
            },
            _ => None,
        }
    }
}

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Statement(error)
    }
}

/// Why there is no connection, for a caller who has said that there is none.
#[must_use]
pub fn unreached_because(error: &(dyn Error + 'static)) -> String {
    match (error.downcast_ref::<ConnectError>(), error.downcast_ref()) {
        (Some(error), _) => error.reason(),
        (_, Some(DbError::Connect(error))) => connect_reason(error),
        (_, Some(DbError::Unreachable { reason })) => reason.clone(),
        (_, Some(DbError::Silent { .. })) => SILENT.to_owned(),
        _ => error.to_string(),
    }
}

fn sent_or_not(sent: bool) -> &'static str {
    match sent {
        true => "what was sent may still take effect",
        false => "nothing was sent",
    }
}

fn named(holders: &[Holder]) -> String {
    if holders.is_empty() {
        return "it was being opened or cleaned".to_owned();
    }
    let named: Vec<String> = holders.iter().map(ToString::to_string).collect();
    named.join("; ")
}

pub(super) fn connect_reason(error: &PoolError) -> String {
    match error {
        PoolError::Backend(error) => describe(error),
        PoolError::Timeout(TimeoutType::Create) => {
            "it did not answer in time (DATABASE_CONNECT_TIMEOUT_MS)".to_owned()
        }
        other => other.to_string(),
    }
}

/// Whether PostgreSQL ends the connection with this error: terminated, shut down, idle for too long.
pub(super) fn ends_connection(error: &tokio_postgres::Error) -> bool {
    let fatal = |severity| matches!(severity, Severity::Fatal | Severity::Panic);
    error
        .as_db_error()
        .and_then(tokio_postgres::error::DbError::parsed_severity)
        .is_some_and(fatal)
}

/// Whether a retry may succeed: the port is closed, the server is starting, or a standby is about to be promoted. Most
/// often a server restarts.
pub(super) fn may_pass(error: &PoolError) -> bool {
    match error {
        PoolError::Backend(error) => passes(error),
        _ => false,
    }
}

fn passes(error: &tokio_postgres::Error) -> bool {
    if let Some(tried) = FailedAttempts::find_in(error) {
        return tried.has_socket_error() || tried.errors().any(passes);
    }
    let io = error
        .source()
        .is_some_and(|source| source.is::<std::io::Error>());
    let not_yet = [
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
    ];
    io || error.code().is_some_and(|code| not_yet.contains(code)) || error.is_closed()
}

/// A prepared statement that the server no longer accepts: DDL changed the plan's columns, or its name is gone.
/// Reported before anything ran, so preparing it again and retrying is safe outside a transaction.
pub(super) fn is_stale(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|db| match db.code() {
        &SqlState::FEATURE_NOT_SUPPORTED => db.routine() == Some("RevalidateCachedQuery"),
        code => *code == SqlState::INVALID_SQL_STATEMENT_NAME,
    })
}

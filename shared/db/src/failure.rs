//! How a request's last use of the database failed, for the page that the dev server shows.
//!
//! Stored in the request, so that it survives when the app turns a [`DbError`] into its own answer. In production there
//! is no request to store it in.

use std::{fmt, panic::Location};

use tokio_postgres::error::ErrorPosition;

use super::{error::DbError, holder::CallSite};

/// A failed use of the database.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The call in the app.
    pub at: &'static Location<'static>,
    /// Its text, if a statement failed. Parameters are not in it.
    pub statement: Option<String>,
    /// PostgreSQL's code, if it was PostgreSQL that refused.
    pub sqlstate: Option<String>,
    /// What happened.
    pub message: String,
    /// PostgreSQL's detail.
    pub detail: Option<String>,
    /// PostgreSQL's hint.
    pub hint: Option<String>,
    /// The place in the statement, in characters from 1.
    pub position: Option<usize>,
}

impl Failure {
    pub(super) fn new(at: CallSite, statement: Option<&str>, error: &DbError) -> Self {
        let refused = match error {
            DbError::Statement(error) => error.as_db_error(),
            _ => None,
        };
        let position = refused.and_then(|refused| match refused.position()? {
            ErrorPosition::Original(position) => usize::try_from(*position).ok(),
            ErrorPosition::Internal { .. } => None, // in a function's own statement
        });
        Self {
            at,
            statement: statement.map(str::to_owned),
            sqlstate: error.code().map(|code| code.code().to_owned()),
            message: refused
                .map_or_else(|| error.to_string(), |refused| refused.message().to_owned()),
            detail: refused
                .and_then(|refused| refused.detail())
                .map(str::to_owned),
            hint: refused
                .and_then(|refused| refused.hint())
                .map(str::to_owned),
            position,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = &self.sqlstate {
            write!(f, "{code}: ")?;
        }
        write!(f, "{} at {}", self.message, self.at)
    }
}

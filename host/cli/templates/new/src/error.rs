//! Why a request failed, and what the client is told. Internal errors are logged and not sent: they may contain data.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use shared::DbError;

pub(crate) enum AppError {
    /// A mistake of the client.
    Invalid(&'static str),
    Database(DbError),
    Template(minijinja::Error),
}

impl From<DbError> for AppError {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

impl From<minijinja::Error> for AppError {
    fn from(error: minijinja::Error) -> Self {
        Self::Template(error)
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let (status, told) = match self {
            Self::Invalid(why) => (StatusCode::UNPROCESSABLE_ENTITY, why),
            Self::Database(error) => {
                tracing::error!("{error}");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the database failed; see the log",
                )
            }
            Self::Template(error) => {
                tracing::error!("{error:#}");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "a template failed; see the log",
                )
            }
        };
        (status, told).into_response()
    }
}

pub(crate) async fn not_found() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "there is nothing here")
}

//! Every failed request is answered with `{"error":{"code","message"}}` and a matching status.
//!
//! A database error is logged in full, but the response is generic: its text may contain SQL and other users' data.

use axum::{
    Json,
    extract::rejection::{JsonRejection, PathRejection, QueryRejection},
    http::{Method, StatusCode, Uri, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde_json::json;
use shared::DbError;
use tokio_postgres::error::SqlState;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    /// A mistake of the client, explained in the response.
    #[error("{message}")]
    Refused {
        status: StatusCode,
        code: &'static str,
        message: String,
    },
    /// An error of ours or of the database, logged.
    #[error(transparent)]
    Database(#[from] DbError),
    /// A template that is missing or wrong, logged.
    #[error(transparent)]
    Template(#[from] minijinja::Error),
}

impl AppError {
    pub(crate) fn unknown(what: &str, id: i64) -> Self {
        Self::Refused {
            status: StatusCode::NOT_FOUND,
            code: "not_found",
            message: format!("there is no {what} {id}"),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Refused {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: "invalid",
            message: message.into(),
        }
    }

    /// Status, code and message for the client.
    pub(crate) fn answer(&self) -> (StatusCode, &'static str, String) {
        match self {
            Self::Refused {
                status,
                code,
                message,
            } => (*status, code, message.clone()),
            Self::Database(error)
                if error.code() == Some(&SqlState::NUMERIC_VALUE_OUT_OF_RANGE) =>
            {
                (
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "out_of_range",
                    "the result does not fit into a 32-bit number".into(),
                )
            }
            Self::Database(
                error @ (DbError::Wait { .. }
                | DbError::Connect(_)
                | DbError::Unreachable { .. }
                | DbError::Silent { .. }),
            ) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "database_unavailable",
                told(error, "the database does not answer; see the log"),
            ),
            Self::Database(error) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "database",
                told(error, "the database refused; see the log"),
            ),
            Self::Template(error) => {
                tracing::error!("{error:#}");
                let message = match cfg!(feature = "hot") {
                    true => format!("{error:#}"),
                    false => "the page failed; see the log".to_owned(),
                };
                (StatusCode::INTERNAL_SERVER_ERROR, "template", message)
            }
        }
    }
}

/// Logs `error` and returns the generic message. Some errors contain no data, such as who holds the connection or which
/// column does not fit its field: under the dev server their text is returned.
fn told(error: &DbError, in_general: &str) -> String {
    tracing::error!("{error}");
    match error {
        DbError::Wait { .. }
        | DbError::Nested { .. }
        | DbError::Misplaced { .. }
        | DbError::Absent { .. }
        | DbError::Silent { .. }
        | DbError::Row { .. }
            if cfg!(feature = "hot") =>
        {
            error.to_string()
        }
        _ => in_general.to_owned(),
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let (status, code, message) = self.answer();
        let json = Json(json!({ "error": { "code": code, "message": message } }));
        match status {
            StatusCode::SERVICE_UNAVAILABLE => (status, [(RETRY_AFTER, "1")], json).into_response(),
            _ => (status, json).into_response(),
        }
    }
}

impl From<JsonRejection> for AppError {
    fn from(rejection: JsonRejection) -> Self {
        let code = match rejection {
            JsonRejection::JsonSyntaxError(_) => "malformed_json",
            JsonRejection::JsonDataError(_) => "invalid",
            JsonRejection::MissingJsonContentType(_) => "not_json",
            _ => "unreadable_body",
        };
        Self::Refused {
            status: rejection.status(),
            code,
            message: rejection.body_text(),
        }
    }
}

impl From<PathRejection> for AppError {
    fn from(rejection: PathRejection) -> Self {
        Self::Refused {
            status: rejection.status(),
            code: "invalid_path",
            message: rejection.body_text(),
        }
    }
}

impl From<QueryRejection> for AppError {
    fn from(rejection: QueryRejection) -> Self {
        Self::Refused {
            status: rejection.status(),
            code: "invalid_query",
            message: rejection.body_text(),
        }
    }
}

pub(crate) async fn unknown_route(method: Method, uri: Uri) -> AppError {
    AppError::Refused {
        status: StatusCode::NOT_FOUND,
        code: "unknown_route",
        message: format!("there is no {method} {}", uri.path()),
    }
}

pub(crate) async fn wrong_method(method: Method, uri: Uri) -> AppError {
    AppError::Refused {
        status: StatusCode::METHOD_NOT_ALLOWED,
        code: "wrong_method",
        message: format!("{} does not take {method}", uri.path()),
    }
}

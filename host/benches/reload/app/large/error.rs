//! Why a request failed, as a caller is told.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;
use shared::DbError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    #[error("there is no such thing")]
    NotFound,
    #[error(transparent)]
    Database(#[from] DbError),
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}

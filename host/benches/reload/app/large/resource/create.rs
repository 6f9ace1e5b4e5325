//! `POST /api/invoices`.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use shared::{AppState, db::FromRow};

use super::Invoice;
use crate::error::AppError;

#[derive(Deserialize)]
pub(super) struct NewInvoice {
    title: String,
    #[serde(default)]
    amount: i32,
}

pub(super) async fn create(
    State(app): State<AppState>,
    Json(new): Json<NewInvoice>,
) -> Result<(StatusCode, Json<Invoice>), AppError> {
    let row = app
        .db
        .query_one(
            "INSERT INTO invoice (title, amount) VALUES ($1, $2) RETURNING id, title, amount, created_at",
            &[&new.title, &new.amount],
        )
        .await?;
    Ok((StatusCode::CREATED, Json(Invoice::from_row(&row)?)))
}

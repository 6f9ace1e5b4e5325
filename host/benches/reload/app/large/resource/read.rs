//! `GET /api/invoices/{id}`.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use shared::{AppState, db::FromRow};

use super::Invoice;
use crate::error::AppError;

#[derive(Serialize)]
pub(super) struct Labelled {
    label: String,
    invoice: Invoice,
}

pub(super) async fn read(
    State(app): State<AppState>,
    Path(id): Path<i64>,
) -> Result<Json<Labelled>, AppError> {
    let row = app
        .db
        .query_opt(
            "SELECT id, title, amount, created_at FROM invoice WHERE id = $1",
            &[&id],
        )
        .await?
        .ok_or(AppError::NotFound)?;
    let invoice = Invoice::from_row(&row)?;
    let label = label(&invoice);
    Ok(Json(Labelled { label, invoice }))
}

fn label(invoice: &Invoice) -> String {
    format!("{} ({})", invoice.title, invoice.amount)
}

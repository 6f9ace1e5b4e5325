//! `GET /api/invoices`.

use axum::{
    Json,
    extract::{Query, State},
};
use sea_query::{Expr, ExprTrait, Order, Query as Sql};
use serde::{Deserialize, Serialize};
use shared::{
    AppState,
    db::{FromRow, Query as Statement},
};

use super::Invoice;
use crate::error::AppError;

#[derive(Deserialize)]
pub(super) struct Filter {
    title: Option<String>,
    at_least: Option<i32>,
}

#[derive(Serialize)]
pub(super) struct Invoices {
    heading: &'static str,
    invoices: Vec<Invoice>,
}

pub(super) async fn list(
    State(app): State<AppState>,
    Query(filter): Query<Filter>,
) -> Result<Json<Invoices>, AppError> {
    let mut select = Sql::select();
    select
        .columns(Invoice::names())
        .from("invoice")
        .order_by("id", Order::Desc)
        .limit(50);
    if let Some(title) = filter.title {
        select.and_where(Expr::col("title").eq(title));
    }
    if let Some(amount) = filter.at_least {
        select.and_where(Expr::col("amount").gte(amount));
    }
    let rows = app.db.fetch(Statement::new(&select)).await?;
    Ok(Json(Invoices {
        heading: "All invoices",
        invoices: Invoice::from_rows(&rows)?,
    }))
}

//! `/api/invoices`: list, read, create.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use axum::{Router, routing::get};
use chrono::{DateTime, Utc};
use sea_query::{Expr, ExprTrait, Order, Query as Sql};
use serde::{Deserialize, Serialize};
use shared::{
    AppState,
    db::{FromRow, Query as Statement},
};

use crate::error::AppError;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(list).post(create))
        .route("/{id}", get(read))
}

shared::row! {
    /// As it is stored.
    #[derive(Serialize)]
    struct Invoice {
        id: i64,
        title: String,
        amount: i32,
        created_at: DateTime<Utc>,
    }
}

#[derive(Deserialize)]
struct Filter {
    title: Option<String>,
    at_least: Option<i32>,
}

#[derive(Serialize)]
struct Invoices {
    heading: &'static str,
    invoices: Vec<Invoice>,
}

async fn list(
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

#[derive(Serialize)]
struct Labelled {
    label: String,
    invoice: Invoice,
}

async fn read(
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

#[derive(Deserialize)]
struct NewInvoice {
    title: String,
    #[serde(default)]
    amount: i32,
}

async fn create(
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

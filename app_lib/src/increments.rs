//! `/api/counters/{id}/increments`: the transaction, and the relation read back in one statement.

use axum::{extract::State, http::StatusCode};
use futures_util::FutureExt;
use sea_query::{Expr, ExprTrait, Order, Query as Sql};
use serde::Deserialize;
use shared::{
    AppState, Db,
    db::{FromRow, Query as Statement, column},
};
use tokio_postgres::types::Json as JsonColumn;

use crate::{
    error::AppError,
    extract::{Json, Path},
    schema::{Counter, CounterIden, Increment, IncrementIden},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewIncrement {
    amount: i32,
}

pub(crate) async fn create(
    State(app): State<AppState>,
    Path(id): Path<i64>,
    Json(new): Json<NewIncrement>,
) -> Result<(StatusCode, axum::Json<Counter>), AppError> {
    Ok((
        StatusCode::CREATED,
        axum::Json(add(&app.db, id, new.amount).await?),
    ))
}

/// The increments of one counter, newest first; none for a counter that does not exist.
pub(crate) async fn list(
    State(app): State<AppState>,
    Path(id): Path<i64>,
) -> Result<axum::Json<Vec<Increment>>, AppError> {
    let select = Sql::select()
        .columns(Increment::names())
        .from(IncrementIden::Table)
        .and_where(Expr::col(IncrementIden::CounterId).eq(id))
        .order_by(IncrementIden::CreatedAt, Order::Desc)
        .to_owned();
    let rows = app.db.fetch(Statement::new(&select)).await?;
    Ok(axum::Json(Increment::from_rows(&rows)?))
}

/// Adds to a counter and keeps a record of it: both or neither.
pub(crate) async fn add(db: &Db, id: i64, amount: i32) -> Result<Counter, AppError> {
    let update = Sql::update()
        .table(CounterIden::Table)
        .values([
            (
                CounterIden::Count,
                Expr::col(CounterIden::Count).add(amount),
            ),
            (CounterIden::UpdatedAt, Expr::current_timestamp()),
        ])
        .and_where(Expr::col(CounterIden::Id).eq(id))
        .returning(Sql::returning().columns(Counter::names()))
        .to_owned();
    let insert = Sql::insert()
        .into_table(IncrementIden::Table)
        .columns([IncrementIden::CounterId, IncrementIden::Amount])
        .values_panic([id.into(), amount.into()])
        .returning(Sql::returning().column(IncrementIden::Id))
        .to_owned();

    let row = db
        .transaction(|tx| {
            async move {
                // Update first: it locks the counter, and tells whether the counter exists.
                let row = tx
                    .fetch_opt(Statement::new(&update))
                    .await?
                    .ok_or_else(|| AppError::unknown("counter", id))?;
                tx.fetch_one(Statement::new(&insert)).await?;
                Ok::<_, AppError>(row)
            }
            .boxed()
        })
        .await?;
    Ok(Counter::from_row(&row)?)
}

/// A counter and all its increments in one round trip, in plain SQL, which is easier here than a query builder.
pub(crate) async fn with_counter(
    db: &Db,
    id: i64,
) -> Result<Option<(Counter, Vec<Increment>)>, AppError> {
    let sql = "
        SELECT c.id, c.name, c.count, c.created_at, c.updated_at,
               coalesce(json_agg(i ORDER BY i.id) FILTER (WHERE i.id IS NOT NULL), '[]') AS increments
        FROM counter c LEFT JOIN increment i ON i.counter_id = c.id
        WHERE c.id = $1
        GROUP BY c.id";
    let Some(row) = db.query_opt(sql, &[&id]).await? else {
        return Ok(None);
    };
    let JsonColumn(increments) = column(&row, "increments")?;
    Ok(Some((Counter::from_row(&row)?, increments)))
}

//! `/api/counters`: create, read, update, delete, each one statement built with sea-query.

use axum::{
    extract::State,
    http::{StatusCode, header::LOCATION},
    response::IntoResponse,
};
use sea_query::{Expr, ExprTrait, Order, Query as Sql};
use serde::{Deserialize, Serialize};
use shared::{
    AppState, Db,
    db::{FromRow, Query as Statement},
    routing::{Router, get},
};

use crate::{
    error::AppError,
    extract::{Json, Path, Query},
    increments,
    schema::{Counter, CounterIden, Increment},
};

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(list).post(create))
        .route("/{id}", get(read).put(update).delete(remove))
        .route(
            "/{id}/increments",
            get(increments::list).post(increments::create),
        )
}

/// What a client sends to create a counter or to replace one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCounter {
    name: String,
    #[serde(default)]
    count: i32,
}

impl NewCounter {
    pub(crate) fn named(name: String) -> Self {
        Self { name, count: 0 }
    }

    /// A name is shown in a list, so it must not be empty or long.
    fn check(mut self) -> Result<Self, AppError> {
        self.name = self.name.trim().to_owned();
        match self.name.chars().count() {
            // The one character that PostgreSQL's text cannot contain.
            1..=100 if !self.name.contains('\0') => Ok(self),
            _ => Err(AppError::invalid("name must have 1 to 100 characters")),
        }
    }
}

async fn list(State(app): State<AppState>) -> Result<axum::Json<Vec<Counter>>, AppError> {
    Ok(axum::Json(all(&app.db).await?))
}

pub(crate) async fn all(db: &Db) -> Result<Vec<Counter>, AppError> {
    let select = Sql::select()
        .columns(Counter::names())
        .from(CounterIden::Table)
        .order_by(CounterIden::Id, Order::Asc)
        .to_owned();
    let rows = db.fetch(Statement::new(&select)).await?;
    Ok(Counter::from_rows(&rows)?)
}

async fn create(
    State(app): State<AppState>,
    Json(new): Json<NewCounter>,
) -> Result<impl IntoResponse, AppError> {
    let counter = insert(&app.db, new).await?;
    Ok((
        StatusCode::CREATED,
        [(LOCATION, format!("/api/counters/{}", counter.id))],
        axum::Json(counter),
    ))
}

pub(crate) async fn insert(db: &Db, new: NewCounter) -> Result<Counter, AppError> {
    let new = new.check()?;
    let insert = Sql::insert()
        .into_table(CounterIden::Table)
        .columns([CounterIden::Name, CounterIden::Count])
        .values_panic([new.name.into(), new.count.into()])
        .returning(Sql::returning().columns(Counter::names()))
        .to_owned();
    Ok(Counter::from_row(
        &db.fetch_one(Statement::new(&insert)).await?,
    )?)
}

#[derive(Deserialize)]
struct With {
    with: Option<String>,
}

/// A counter, with its increments if requested.
#[derive(Serialize)]
struct CounterWith {
    #[serde(flatten)]
    counter: Counter,
    #[serde(skip_serializing_if = "Option::is_none")]
    increments: Option<Vec<Increment>>,
}

async fn read(
    State(app): State<AppState>,
    Path(id): Path<i64>,
    Query(with): Query<With>,
) -> Result<axum::Json<CounterWith>, AppError> {
    match with.with.as_deref() {
        Some("increments") => {
            let found = increments::with_counter(&app.db, id).await?;
            let (counter, increments) = found.ok_or_else(|| AppError::unknown("counter", id))?;
            Ok(axum::Json(CounterWith {
                counter,
                increments: Some(increments),
            }))
        }
        Some(other) => Err(AppError::invalid(format!(
            "with={other} is unknown; a counter has increments"
        ))),
        None => {
            let select = Sql::select()
                .columns(Counter::names())
                .from(CounterIden::Table)
                .and_where(Expr::col(CounterIden::Id).eq(id))
                .to_owned();
            let row = app
                .db
                .fetch_opt(Statement::new(&select))
                .await?
                .ok_or_else(|| AppError::unknown("counter", id))?;
            Ok(axum::Json(CounterWith {
                counter: Counter::from_row(&row)?,
                increments: None,
            }))
        }
    }
}

async fn update(
    State(app): State<AppState>,
    Path(id): Path<i64>,
    Json(new): Json<NewCounter>,
) -> Result<axum::Json<Counter>, AppError> {
    let new = new.check()?;
    let update = Sql::update()
        .table(CounterIden::Table)
        .values([
            (CounterIden::Name, new.name.into()),
            (CounterIden::Count, new.count.into()),
            (CounterIden::UpdatedAt, Expr::current_timestamp()),
        ])
        .and_where(Expr::col(CounterIden::Id).eq(id))
        .returning(Sql::returning().columns(Counter::names()))
        .to_owned();
    let row = app
        .db
        .fetch_opt(Statement::new(&update))
        .await?
        .ok_or_else(|| AppError::unknown("counter", id))?;
    Ok(axum::Json(Counter::from_row(&row)?))
}

async fn remove(State(app): State<AppState>, Path(id): Path<i64>) -> Result<StatusCode, AppError> {
    let delete = Sql::delete()
        .from_table(CounterIden::Table)
        .and_where(Expr::col(CounterIden::Id).eq(id))
        .returning(Sql::returning().column(CounterIden::Id))
        .to_owned();
    match app.db.fetch_opt(Statement::new(&delete)).await? {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(AppError::unknown("counter", id)),
    }
}

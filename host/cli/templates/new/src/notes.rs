//! Notes in the database, and `/api/notes`: list them, add one.

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde::{Deserialize, Serialize};
use shared::{Db, db::FromRow};

use crate::error::AppError;

shared::row! {
    /// A row of the table.
    #[derive(Serialize)]
    pub(crate) struct Note {
        id: i64,
        text: String,
    }
}

/// What a client sends.
#[derive(Deserialize)]
pub(crate) struct NewNote {
    text: String,
}

pub(crate) fn routes() -> Router<Db> {
    Router::new().route("/", get(list).post(create))
}

async fn list(State(db): State<Db>) -> Result<Json<Vec<Note>>, AppError> {
    Ok(Json(all(&db).await?))
}

async fn create(
    State(db): State<Db>,
    Json(new): Json<NewNote>,
) -> Result<(StatusCode, Json<Note>), AppError> {
    Ok((StatusCode::CREATED, Json(add(&db, new).await?)))
}

/// All notes, the newest first.
pub(crate) async fn all(db: &Db) -> Result<Vec<Note>, AppError> {
    let rows = db
        .query("SELECT id, text FROM note ORDER BY id DESC", &[])
        .await?;
    Ok(Note::from_rows(&rows)?)
}

pub(crate) async fn add(db: &Db, new: NewNote) -> Result<Note, AppError> {
    let text = new.text.trim();
    if text.is_empty() {
        return Err(AppError::Invalid("a note needs a text"));
    }
    let row = db
        .query_one(
            "INSERT INTO note (text) VALUES ($1) RETURNING id, text",
            &[&text],
        )
        .await?;
    Ok(Note::from_row(&row)?)
}

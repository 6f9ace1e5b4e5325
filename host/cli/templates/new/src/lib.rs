//! Notes, as a page and as a JSON API. Edit anything here while `cargo dev` runs.

#![forbid(unsafe_code)]

// What the app answers.
mod files;
mod notes;
mod page;

// Every failed request.
mod error;

#[cfg(test)]
mod tests;

use axum::{Router, routing::get};
use shared::{AppState, BoxError, Db};

/// Builds the router. Under `cargo dev` it runs after every save; if it fails, the previous code keeps serving.
pub async fn app(state: AppState) -> Result<Router, BoxError> {
    Ok(router(state.db))
}

fn router(db: Db) -> Router {
    Router::new()
        .merge(page::routes())
        .nest("/api/notes", notes::routes())
        .route("/static/{*file}", get(files::serve))
        .fallback(error::not_found)
        .with_state(db)
}

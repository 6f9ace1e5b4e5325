//! The application: a counter with a page and a JSON API. Edit anything here while `cargo dev` runs.
//!
//! A request enters through `app`'s router, parses its input with `extract`, runs its statements on `state.db`, and
//! answers with a value or an `AppError`. One file per resource, which also keeps a save fast: rustc recompiles the
//! file you touched.

#![forbid(unsafe_code)]

// The database: who owns the pool, and the tables.
mod db;
mod schema;

// The resources.
mod counters;
mod increments;
mod page;
mod ping;

// What is not code: templates and static files.
mod files;

// Shared by the resources: input and errors.
mod error;
mod extract;

#[cfg(test)]
mod tests;

use shared::{
    AppState, BoxError,
    routing::{Router, get},
};

shared::export_app!(app);

// Under `cargo dev` the host has loaded this library already: link it, and not a second copy of all that is in it.
#[cfg(feature = "hot")]
use shared_dylib as _;

/// Builds the router. Runs once per generation; if it fails, the previous generation keeps serving.
async fn app(state: AppState) -> Result<Router, BoxError> {
    let state = AppState {
        db: db::connect(&state),
        ..state
    };
    let api = Router::new()
        .nest("/counters", counters::routes())
        .route("/ping", get(ping::ping))
        .fallback(error::unknown_route)
        .method_not_allowed_fallback(error::wrong_method);
    Ok(Router::new()
        .nest("/api", api)
        .merge(page::routes())
        .route("/static/{*file}", get(files::serve))
        .fallback(error::unknown_route)
        .with_state(state))
}

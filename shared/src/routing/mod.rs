//! axum's routing, compiled once: `use shared::routing::{Router, get}` instead of `use axum::{Router, routing::get}`.
//!
//! axum wraps each handler in a dozen generic layers, and rustc compiles them again for each handler, in the crate that
//! is built after every save. Here a handler's type is erased first, so axum's routing is compiled for one type, in
//! this crate. Names, arguments and behaviour are axum's. For anything not offered here, convert with
//! [`axum::Router::from`]; either kind of router can be merged into the other.
//!
//! ```
//! use axum::extract::State;
//! use shared::{AppState, BoxError, routing::{Router, get}};
//!
//! async fn generation(State(app): State<AppState>) -> String {
//!     app.generation.to_string()
//! }
//!
//! async fn app(state: AppState) -> Result<Router, BoxError> {
//!     let plain = axum::Router::new().route("/plain", axum::routing::get(generation));
//!     Ok(Router::new()
//!         .route("/", get(generation).post(async || "created"))
//!         .merge(plain)
//!         .with_state(state))
//! }
//! shared::export_app!(app);
//! ```

// Which handler answers a path.
mod router;

// Which handler answers a method.
mod method;

// A handler without its type.
mod erased;

pub use method::{
    MethodRouter, any, connect, delete, get, head, on, options, patch, post, put, trace,
};
pub use router::Router;

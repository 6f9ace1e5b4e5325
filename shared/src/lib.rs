//! The contract between host and app.
//!
//! The host passes an [`AppState`] in, the app passes an [`axum::Router`] out ([`export_app!`]). The compiler does not
//! check this boundary, so the host compares what is in [`abi`] before it runs app code. A change in this crate changes
//! both sides: the dev host then rebuilds and restarts itself.
//!
//! In reading order:

// What an app author uses.
pub mod app;
pub mod env;
pub mod routing;

// What the host checks before it trusts a library.
pub mod abi;

pub use app::{AppState, BoxError, PoolOwner};
pub use db::{Db, DbError, request, row};

/// The one connection.
pub use shared_db as db;

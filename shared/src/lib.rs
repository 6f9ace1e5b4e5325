//! The contract: everything that host and app both see.
//!
//! The host passes an [`AppState`] in, the app passes an [`axum::Router`] out ([`export_app!`]). Between them lies a
//! boundary that the compiler does not check, so [`abi`] holds what the host compares before it runs app code.
//! A change anywhere in here changes both sides: the dev host then rebuilds and restarts itself.
//!
//! In reading order:

// What an app author uses.
pub mod app;
pub mod env;
pub mod routing;

// Whose code runs at the moment.
pub mod request;

// The one connection.
pub mod db;

// What the host checks before it trusts a library.
pub mod abi;

pub use app::{AppState, BoxError, PoolOwner};
pub use db::{Db, DbError};

//! The contract between host and app.
//!
//! The host passes an [`AppState`] in, the app passes an [`axum::Router`] out ([`export_app!`]). The compiler does not
//! check this boundary, so the host compares what is in [`abi`] before it runs app code. A change in this crate changes
//! both sides: the dev host then rebuilds and restarts itself.
//!
//! In reading order:

// Each dependency is named here or below, since only then it is linked, and so in the dylib. Of any other, host and
// generations would each link a copy, and what may outlive a generation is decided by the list of dependencies.
#![deny(unused_crate_dependencies)]

// What an app author uses.
pub mod app;
pub mod env;
pub mod keep;
pub mod routing;

// What the host checks before it trusts a library.
pub mod abi;

pub use app::{AppState, PoolOwner};
pub use db::{Db, DbError, request, row};
pub use keep::KeepError;

/// Any error, as `app()` may return it; the host prints it and keeps the running generation.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

// Crates that only the app uses are in the dylib if they are named here.
#[cfg(feature = "templates")]
use {minijinja as _, rust_embed as _};
#[cfg(feature = "sea-query")]
use {sea_query as _, sea_query_postgres as _};

/// The one connection.
pub use shared_db as db;

// In the dylib for host and app.
use {
    bytes as _, chrono as _, deadpool_postgres as _, http_body as _, hyper as _, hyper_util as _,
    rust_decimal as _, rustls as _, rustls_native_certs as _, serde_json as _, tokio_postgres as _,
    tokio_postgres_rustls as _, uuid as _,
};

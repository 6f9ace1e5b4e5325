//! The one connection, as handlers see it.
//!
//! [`Db`] shares a single PostgreSQL connection by pipelining: statements go out back to back, each answer finds its
//! caller (`lane`). A transaction has the connection to itself for as long as it lasts (`exclusive`).
//! The connection is opened by the first statement, on the runtime of the process and not of the caller (`pool`),
//! and opened again after it was lost. Nothing here knows of generations.

// Outside in: settings, then what handlers call, then how the connection is made.
mod url;

mod lane;
mod exclusive;
mod error;

mod pool;

pub use error::{DbError, describe};
pub use exclusive::{Checkout, Transaction};
pub use lane::{Db, Query};
pub use pool::{DbConfig, DbStatus, create_pool};
pub use url::DatabaseUrl;

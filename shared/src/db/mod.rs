//! The one connection, as handlers see it.
//!
//! [`Db`] shares a single PostgreSQL connection by pipelining: statements go out back to back, each answer finds its
//! caller (`lane`). A transaction has the connection to itself for as long as it lasts (`exclusive`).
//! The connection is opened by the first statement, on the runtime of the process and not of the caller (`pool`),
//! and opened again after it was lost. Nothing here knows of generations.

// Where to connect, and whom to believe there.
mod url;

mod tls;

// What handlers call: many statements at once, or the connection alone.
mod lane;

mod query;

mod pooler;

mod exclusive;

mod transaction;

// What comes back, as a struct.
mod row;

// The one connection under both.
mod slot;

mod attempt;

mod demoted;

mod clean;

// What a statement leaves behind, as its words tell.
mod mark;

mod words;

// Who has it and who waits.
mod book;
mod holder;

mod error;

mod failure;

mod connect;

mod address;

// How the connection is made.
mod pool;

pub use attempt::Reach;
pub use connect::{Cancel, ConnectError, Connection, connect};
pub use error::{DbError, describe};
pub use exclusive::Checkout;
pub use failure::Failure;
pub use holder::{Holder, Loss};
pub use lane::Db;
pub use pool::{DbConfig, DbStatus, OnRefusal, Refusal, create_pool};
pub use query::Query;
pub use row::{Column, FromRow, column};
/// What a statement returns, for [`FromRow`].
pub use tokio_postgres::Row;
pub use transaction::Transaction;
pub use url::DatabaseUrl;

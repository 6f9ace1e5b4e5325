//! The one connection, as handlers see it.
//!
//! [`Db`] shares a single PostgreSQL connection by pipelining: statements go out back to back, each answer goes to its
//! caller (`lane`). A transaction has the connection to itself while it lasts (`exclusive`). The connection is opened
//! by the first statement, on the runtime of the process and not of the caller (`pool`), and reopened after a loss.
//! Nothing here knows about generations.

// Where to connect, and which server certificates to trust.
mod url;

mod tls;

// What handlers call: shared statements, or exclusive use of the connection.
mod lane;

mod query;

mod pooler;

mod exclusive;

mod transaction;

// Rows as structs.
mod row;

// The one connection under both.
mod slot;

mod attempt;

mod demoted;

mod silence;

mod clean;

// What a statement leaves behind in the session, judged by its text.
mod mark;

mod words;

// Who uses the connection, and who waits for it.
mod holder;
mod usage;

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

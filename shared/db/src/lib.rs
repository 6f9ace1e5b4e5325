//! One PostgreSQL connection for a whole process.
//!
//! [`Db`] shares a single connection by pipelining: statements go out back to back, and each answer goes to its caller.
//! A transaction has the connection to itself while it lasts. The connection is opened by the first statement and
//! reopened after a loss. It needs tokio and nothing of the dev server; under `cargo dev` the host makes the [`Db`] and
//! hands it to the app, in production the process makes its own.
//!
//! # Example
//!
//! ```no_run
//! use futures_util::FutureExt;
//! use shared_db::{DatabaseUrl, Db, DbConfig, DbError, FromRow};
//!
//! shared_db::row! {
//!     struct Counter {
//!         id: i64,
//!         name: String,
//!     }
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // Opens nothing yet.
//! let url = DatabaseUrl::parse("postgres://me:secret@localhost/app?sslmode=verify-full")?;
//! let db = Db::new(&DbConfig::new(url, "example".to_owned()));
//!
//! // Statements of many tasks share the connection; each is prepared once.
//! let rows = db.query("SELECT id, name FROM counter WHERE name LIKE $1", &[&"a%"]).await?;
//! for counter in Counter::from_rows(&rows)? {
//!     println!("{} {}", counter.id, counter.name);
//! }
//!
//! // A transaction has it alone, and commits if the closure returns `Ok`.
//! db.transaction(|tx| async move {
//!     tx.execute("DELETE FROM increment WHERE counter_id = $1", &[&1_i64]).await?;
//!     tx.execute("DELETE FROM counter WHERE id = $1", &[&1_i64]).await?;
//!     Ok::<_, DbError>(())
//! }.boxed()).await?;
//! # Ok(()) }
//! ```
//!
//! # What to use
//!
//! | for | use |
//! |---|---|
//! | a statement written as SQL | [`Db::query`], [`Db::query_one`], [`Db::query_opt`], [`Db::execute`] |
//! | a statement put together from parts | sea-query, and [`Db::fetch`] with a [`Query`]: the feature `sea-query` |
//! | several statements that belong together | [`Db::transaction`] |
//! | what needs the session alone: `LISTEN`, `COPY`, `SET` | [`Db::checkout`] |
//! | a row as a struct | [`row!`] and [`FromRow`] |
//!
//! # Sharing
//!
//! A statement that would leave something behind in the session (`SET`, a temporary table, an advisory lock) is refused
//! where the session is shared, and taken back where it was alone. A wait for the connection is bounded by
//! [`DbConfig::wait_timeout`], and its error names who holds the connection, from which line. A request that would wait
//! for itself is refused at once ([`DbError::Nested`]).
//!
//! # Cancellation
//!
//! Dropping the future of a statement before it was sent sends nothing. After that the statement runs to its end and
//! its answer is discarded: a cancel request would hit whatever the connection runs at that moment, possibly the
//! statement of another task. [`DbConfig::statement_timeout`] bounds it. A dropped transaction rolls back.
//!
//! # Errors
//!
//! [`DbError`] says by its variant what a caller can do: try again (`Wait`, `Unreachable`, `Connect`, `Silent`), fix
//! the code (`Nested`, `Misplaced`, `Rows`, `Row`), start with a database (`Absent`), or look at PostgreSQL's own error
//! (`Statement`). A statement whose connection was lost while it ran may or may not have taken effect, so it is never
//! repeated.

// Where to connect, and which server certificates to trust.
mod address;
mod config;
mod tls;
mod url;

// What handlers call: shared statements, or exclusive use of the connection.
mod exclusive;
mod lane;
mod pooler;
#[cfg(feature = "sea-query")]
mod query;
mod transaction;

// What the process that owns it does with it.
mod owner;

// Rows as structs.
mod row;
mod row_count;

// The one connection under all of it.
mod attempt;
mod clean;
mod demoted;
mod reach;
mod silence;
mod slot;

// What a statement leaves behind in the session, judged by its text.
mod mark;
pub mod sql;

// Who uses the connection, and who waits for it.
mod counts;
mod holder;
pub mod request;
mod usage;

// What goes wrong, and which request learns of it.
mod error;
mod failed_attempts;
mod failure;
mod recording;

// What a request does, for the dev server.
mod captured;
pub mod trace;
mod traced;

// How connections are made.
mod cancel;
mod connect;
mod opener;
mod own_types;
mod pool;
mod source;

// The connection in the hands of another, who shares it.
mod establish;
mod farewell;
mod peer;
mod relay;
mod socket;
mod startup;
mod stream;
mod tap;

pub use cancel::Cancel;
pub use config::{DbConfig, OnRefusal, Refusal};
pub use connect::{Connection, connect};
pub use counts::DbStatus;
pub use error::{DbError, unreached_because};
pub use establish::establish;
pub use exclusive::Checkout;
pub use failed_attempts::{ConnectError, describe};
pub use failure::Failure;
pub use holder::{Holder, Loss};
pub use lane::Db;
pub use pool::create_pool;
#[cfg(feature = "sea-query")]
pub use query::Query;
pub use reach::Reach;
pub use relay::{Established, Relay};
pub use row::{Column, FromRow, column};
pub use stream::Stream;
/// What a statement returns, for [`FromRow`].
pub use tokio_postgres::Row;
pub use transaction::Transaction;
pub use url::DatabaseUrl;

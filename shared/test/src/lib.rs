//! Tests of an app: requests to its router without a server, on a database of each test's own.
//!
//! ```no_run
//! # mod my { use shared::{AppState, BoxError}; pub async fn app(_: AppState) -> Result<axum::Router, BoxError> { Ok(axum::Router::new()) } }
//! use shared_test::TestApp;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let app = TestApp::new(my::app).await;
//! let made = app.post("/api/notes").json(&serde_json::json!({"text": "milk"})).await;
//! assert_eq!(made.status(), 201);
//! assert!(app.get("/").await.text().contains("milk"));
//! # }
//! ```
//!
//! An app whose router takes a pool gets one from [`TestDatabase::url`], and is asked through [`TestApp::of`].
//!
//! # Where the databases are
//!
//! On the server that `TEST_DATABASE_URL` names, whose role must be allowed to create databases. Without that variable,
//! on a private PostgreSQL in cargo's target folder. It is started when a test needs it, and stopped half a second after
//! the last test process that used it has ended, in whatever way. It has nothing to do with the one of `cargo dev`, and
//! keeps nothing safe: it does without fsync.
//!
//! The first test of a set of migrations applies them, as `cargo dev` would, to a template; each database is a copy of
//! that, which takes tens of milliseconds. All tests may run at once, in any number of processes: `cargo test` and
//! nextest both do. A database is dropped at the end of its test, also of one that fails; what a killed test leaves is
//! dropped by a later run.
//!
//! # Panics
//!
//! Everything here panics instead of returning an error, and says what to do: a test that has no database has failed.

mod app;
mod copies;
mod database;
mod keeper;
mod project;
mod response;
mod server;
mod template;
mod users;

pub use app::{Call, TestApp};
pub use database::TestDatabase;
pub use response::Response;

//! `host dev`: puts the pieces together, and takes them apart again in the right order.
//!
//! Up: settings, socket, whoever answers requests; then database, migrations, the first build. Down: streams are asked to end, no new
//! connections, requests finish, generations retire, the connection closes, PostgreSQL stops. A second Ctrl-C skips
//! the waiting. Only reads from the streets; what it shows is in `status`, `terminal` and `web`.

mod options;

// Where the project is, and that only one host works in it.
mod dotenv;
mod project;

// The database this checkout develops on.
mod database;

// Commands that need only that.
pub(crate) mod commands;

// The leak and its cure: the two switches, and who counts.
mod mode;

mod observer;

// The pool, and who counts.
mod connection;

// Whether the database can be used; what is wrong, all in all.
mod access;
mod health;
mod probe;

// `.env` and `migrations/`, while the host runs.
mod follow;
mod schema;

// What a person may ask for while it runs.
mod actions;

// Up and down.
mod assemble;
mod running;
mod start;

// What takes the threads of a generation.
mod burning;

// What is remembered.
mod journal;
mod requests;

// What is shown: to programs, to the person, in a second terminal, in the browser.
mod connections;
mod status;
mod terminal;
mod web;

use shared::BoxError;

pub(crate) use connections::connections;
pub(crate) use options::Options;
pub(crate) use project::Project;
pub(crate) use terminal::screen::Log;

use crate::{panics, restart::Restart, signals::Signals};
use assemble::assemble;
use start::Start;
use terminal::{json, screen};

/// Serves until a signal, or until the host itself must be replaced. Runs on the main thread.
pub(crate) async fn run(options: Options) -> Result<Option<Restart>, BoxError> {
    panics::install();
    let mut signals = Signals::new()?;
    let _screen = screen::open(options.json)?;
    json::starting();
    let mut running = assemble(Start::new(options)?)?;
    let end = running.tend(&mut signals).await;
    running.finish(end, &mut signals).await
}

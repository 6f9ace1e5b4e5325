//! `host dev`: starts everything, and shuts it down in the right order.
//!
//! Start: settings, socket, request handling; then database, migrations, the first build. Shutdown: streams are asked
//! to end, no new connections are accepted, requests finish, generations retire, the database connection closes,
//! PostgreSQL stops. A second Ctrl-C skips the waiting. `dev` only observes `serve` and `reload`; what it displays is
//! in `status`, `terminal` and `web`.

mod options;

// Where the project is, and the lock that only one host can hold.
mod dotenv;
mod project;

// The development database.
mod database;

// Commands that need only the database.
pub(crate) mod commands;

// The leak and its cure: the two switches, and the observer that counts backends.
mod mode;

mod observer;

// The app's database handle, and its observer.
mod connection;

// Whether the database is usable, and overall health.
mod access;
mod health;
mod probe;

// `.env` and `migrations/`, while the host runs.
mod schema;
mod settings_reload;

// What the user can ask for while it runs.
mod actions;

// Start and shutdown.
mod assemble;
mod running;
mod start;

// Requests that block the threads of a generation.
mod burning;

// History.
mod journal;
mod requests;

// Output: for programs, in the terminal, in a second terminal, in the browser.
mod connections;
mod status;
mod terminal;
mod web;

use shared::BoxError;

pub(crate) use connections::connections;
pub(crate) use options::Options;
pub(crate) use project::Project;
pub(crate) use terminal::{clock::Clock, screen::Log};

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
    let end = running.supervise(&mut signals).await;
    running.shut_down(end, &mut signals).await
}

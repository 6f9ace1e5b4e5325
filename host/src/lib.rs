//! The long-lived process that serves a hot-reloaded app. This page is its architecture.
//!
//! Two one-way streets and one junction:
//!
//! - **A request** goes down [`server`]: listen, the accept loop of `host_accept`, the gateway, a wait for a running build
//!   or migration, dispatch, the response body, the script that goes into a page. It runs in a generation.
//! - **A save** goes down [`reload`]: watch, build, publish, load, start, swap, retire. It makes a generation.
//! - They meet only in [`generation`]: one loaded build of the app, with a runtime of its own.
//!
//! Around them:
//!
//! - [`database`] is the private cluster or the server in `DATABASE_URL`: its migrations, and whether it answers.
//! - [`keep`] is where the app's values live that outlive generations.
//! - [`events`] is what happens, one typed stream. Services report there. Nothing but a renderer prints.
//! - [`health`] is what is wrong, all in all: one value that every page and the terminal show.
//! - [`services`] is all of these as one value, which the two streets and the renderers take.
//! - [`terminal`] and [`devtools`] are the renderers: lines and keys; pages, dashboard, `status.json`. They show events
//!   and state, and send [`actions`].
//! - [`config`] is the settings, from flags, the environment and `.env`.
//! - [`lifecycle`] is the process: what must exist before anything runs, the main loop, an end that loses nothing, and
//!   the restart under the same PID when the host's own code has changed.
//! - [`dev`] builds all of it and is the only place that knows both services and renderers.
//!
//! A **start** reads the settings, takes the project's lock and the socket, and answers requests from then on; the
//! database, the migrations and the first build follow. An **end** lets requests finish, retires the generation, closes
//! the connection and stops PostgreSQL, in this order.
//!
//! | question | where to look |
//! |---|---|
//! | why no request is lost | [`generation`]: the lease |
//! | why the connection survives | `shared::db`: the pool is on the host's runtime |
//! | why a stale library is never called | `shared::abi`, checked in [`reload`]'s `load` |
//! | what production uses | `host_accept`, [`server`]'s `listen`, [`config`]'s settings and `production`; the rest is not compiled |
//!
//! Each room may use only the rooms below it; `tests/it/layering` holds the order and checks it.

#![expect(
    rustdoc::private_intra_doc_links,
    reason = "the docs above are for readers of the source, where every module is visible"
)]

mod cli;
mod config;
mod lifecycle;

// The path of a request.
mod server;

// Where requests and reloads meet.
#[cfg(feature = "dev")]
mod generation;

// The path of a save, and the tests after it.
#[cfg(feature = "dev")]
mod reload;
#[cfg(feature = "dev")]
mod testing;

// The database.
#[cfg(feature = "dev")]
mod database;

// What outlives generations.
#[cfg(feature = "dev")]
mod keep;

// What happens, and how the host is.
#[cfg(feature = "dev")]
mod events;
#[cfg(feature = "dev")]
mod health;

// All of the above, as one value.
#[cfg(feature = "dev")]
mod services;

// Shows it, and takes what the user asks for.
#[cfg(feature = "dev")]
mod actions;
#[cfg(feature = "dev")]
mod devtools;
#[cfg(feature = "dev")]
mod terminal;

// The commands.
#[cfg(feature = "dev")]
mod commands;
#[cfg(feature = "dev")]
mod dev;
#[cfg(feature = "production")]
mod production;

// Which route a request takes.
#[cfg(any(feature = "production", feature = "otlp"))]
mod routes;

// When its answer has ended.
#[cfg(any(feature = "production", feature = "otlp"))]
mod body_end;

// What is sent to a collector.
#[cfg(feature = "otlp")]
mod otlp;

// What the log shows.
mod logs;

// The app's own failures, as text.
mod failure;
#[cfg(feature = "dev")]
mod panics;

// Links the dylib that the app links too. Without this line the binary would have its own copy of everything in it.
#[cfg(feature = "dev")]
use shared_dylib as _;

use std::process::ExitCode;

/// Runs the command line of the dev server and returns its exit code.
///
/// Call it once, on the main thread: it captures the original environment first, and the private cluster stops when the
/// calling thread ends.
pub fn main() -> ExitCode {
    config::environment::original(); // before anything can change it
    cli::run(None)
}

/// Runs the command line of the production binary, in which `app` is linked: `serve`, with `--host` and `--port`.
///
/// ```no_run
/// # use shared::{AppState, BoxError};
/// # mod shop {
/// #     use super::*;
/// #     pub async fn app(_: AppState) -> Result<axum::Router, BoxError> { Ok(axum::Router::new()) }
/// # }
/// fn main() -> std::process::ExitCode {
///     host::serve(shop::app)
/// }
/// ```
///
/// Call it once, on the main thread.
#[cfg(feature = "production")]
pub fn serve<F, Fut, R>(app: F) -> ExitCode
where
    F: FnOnce(shared::AppState) -> Fut + Send + 'static,
    Fut: Future<Output = Result<R, shared::BoxError>> + Send + 'static,
    R: Into<axum::Router>,
{
    config::environment::original(); // before anything can change it
    cli::run(Some(Box::new(move |state| {
        Box::pin(async move { app(state).await.map(Into::into) })
    })))
}

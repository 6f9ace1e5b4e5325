//! The long-lived process that serves a hot-reloaded app.
//!
//! Two one-way streets and one junction. A request goes down [`serve`]: accept, dispatch, a lease on the active
//! generation, the app, the database. A save goes down [`reload`]: watch, build, load, start, swap, retire.
//! They meet only in [`generation`]. Around them, [`postgres`] runs the private cluster, [`dev`] connects and displays
//! everything, and [`restart`] replaces this process when its own code has changed.
//!
//! | question | where to look |
//! |---|---|
//! | why no request is lost | [`generation`]: the lease |
//! | why the connection survives | `shared::db`: the pool is on the host's runtime |
//! | why a stale library is never called | `shared::abi`, checked in [`reload`]'s `load` |
//! | what production uses | `host_accept`, [`serve`]'s `listen`, and `production`; the rest is not compiled |

#![expect(
    rustdoc::private_intra_doc_links,
    reason = "the docs above are for readers of the source, where every module is visible"
)]

mod cli;
mod environment;
mod failure;
mod settings;

// The path of a request.
mod serve;

// Where requests and reloads meet.
#[cfg(feature = "dev")]
mod generation;

// The path of a save.
#[cfg(feature = "dev")]
mod reload;

// The process around them.
#[cfg(feature = "dev")]
mod dev;
#[cfg(feature = "dev")]
mod file_stamps;
#[cfg(feature = "dev")]
mod migrate;
#[cfg(feature = "dev")]
mod panics;
#[cfg(feature = "dev")]
pub mod postgres;
#[cfg(feature = "bundled-app")]
mod production;
#[cfg(feature = "dev")]
mod restart;
mod signals;
#[cfg(feature = "dev")]
mod tasks;
#[cfg(feature = "dev")]
mod threads;

// Links the dylib that the app links too. Without this line the binary would have its own copy of everything in it.
#[cfg(feature = "dev")]
use shared_dylib as _;

use std::process::ExitCode;

/// Runs this process's command line and returns its exit code.
///
/// Call it once, on the main thread: it captures the original environment first, and the private cluster stops when the
/// calling thread ends.
pub fn main() -> ExitCode {
    environment::original(); // before anything can change it
    cli::run()
}

//! The long-lived process under a hot-reloaded app.
//!
//! Two one-way streets and one junction. A request reads down [`serve`]: accept, dispatch, a lease on the active
//! generation, the app, the database. A save reads down [`reload`]: watch, build, load, start, swap, retire.
//! They meet in [`generation`] and nowhere else. Around them: [`postgres`] runs the private cluster, [`dev`] puts
//! all of it together and shows it, [`restart`] replaces this very process when its own code has changed.
//!
//! | what a reader looks for | where |
//! |---|---|
//! | why no request is lost | [`generation`]: the lease |
//! | why the connection survives | `shared::db`: the pool lives on this process's runtime |
//! | why a stale library is never called | `shared::abi`, checked in [`reload`]'s `load` |
//! | what production keeps of this | `host_accept`, [`serve`]'s `listen`, and `production`; the rest is not compiled |

#![expect(
    rustdoc::private_intra_doc_links,
    reason = "the page above is for those who read the source, where every module is"
)]

mod cli;
mod environment;
mod failure;
mod settings;

// A request, read downward.
mod serve;

// Where the two streets meet.
#[cfg(feature = "dev")]
mod generation;

// A save, read downward.
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
mod threads;

// The mention links the dylib that the app links too; without it the binary would have its own copy of everything.
#[cfg(feature = "dev")]
use shared_dylib as _;

use std::process::ExitCode;

/// Runs the command line of this process, from its arguments to its exit code.
///
/// From the main thread and once: the environment as the user gave it is captured first, and the private cluster is
/// tied to the calling thread.
pub fn main() -> ExitCode {
    environment::original(); // before anything could change it
    cli::run()
}

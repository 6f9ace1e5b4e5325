//! `hot`: puts the dev server into an existing axum project, and takes it out again.
//!
//! The dev server gets a workspace of its own, `dev/`, in the user's project: nothing that the project builds depends on
//! it. Owns what is written there and the few lines that the user's files get. Refuses to write what it could not take
//! back: every edit is noted in `dev/.hot.toml`. Knows nothing of the host's code; only its templates do.
//!
//! In reading order:

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")
)]

// What a user types.
mod check;
mod cli;
mod flags;
mod init;
mod new;
mod undo;

// The project as it is, and what of it is served.
mod binary;
mod choice;
mod functions;
mod project;
mod recipe;
mod sources;

// What is written: into `dev/`, and into the user's files.
mod dev;
mod source;
mod theirs;
mod wrapper;

// The change as a whole, and how to take it back.
mod ledger;
mod plan;

// What all of it needs.
mod console;
mod failure;
mod files;

pub use cli::{main, run};
pub use console::Console;
pub use failure::Failure;

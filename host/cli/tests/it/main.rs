//! `hot` in projects that the tests write: git repositories in a temporary folder. Nothing of the dev server is built.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod repository;

mod check;
mod init;
mod new;
mod recipe;
mod undo;

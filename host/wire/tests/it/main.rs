//! Real drivers and a real PostgreSQL, with the exchange between them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod drivers;
mod endings;
mod isolation;
mod raw;
mod sessions;
mod sharing;
mod stand;
mod tools;

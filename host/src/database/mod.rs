//! The development database: the private cluster or the server in `DATABASE_URL`, its migrations, and whether it
//! answers.
//!
//! Owns every connection of the host other than the app's own. Knows neither requests nor saves.

// PostgreSQL, run by the host.
pub mod cluster;

// Where the project's own sockets are.
mod socket;

// PostgreSQL, as the app's own drivers see it.
mod endpoint;

// Which database it is, and whose.
mod borrow;
mod development;

// The same, as other rooms see it.
mod handle;

mod observer;

// Whether it answers.
mod access;
mod probe;

// Its tables.
mod blocker;
pub(crate) mod migrate;
mod schema;

// Connections other than the app's.
mod temporary;

pub(crate) use self::{
    access::{AccessState, ClusterState, ServerState},
    development::{Database, terminate},
    endpoint::{ClientStatus, Endpoint, offered},
    handle::{Handle, Refusals},
    observer::{Backend, CENSUS, Census, Observer},
    schema::{Schema, SchemaState},
    temporary::{on_connection, on_watched_connection},
};

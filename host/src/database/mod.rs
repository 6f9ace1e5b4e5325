//! The development database: the private cluster or the server in `DATABASE_URL`, its migrations, and whether it
//! answers.
//!
//! Owns every connection of the host other than the app's own. Knows neither requests nor saves.

// PostgreSQL, as the app's own drivers see it.
mod endpoint;

// Which database it is, and whose.
mod borrow;
mod copies;
mod development;
mod fetch;
mod private;

// The same, as other rooms see it.
mod handle;

mod observer;

// Whether it answers.
mod access;
mod probe;

// Its tables, and what fills them.
mod blocker;
mod schema;
mod seeds;

// Connections other than the app's.
mod temporary;
mod terminate;

pub(crate) use self::{
    access::{AccessState, ClusterState, ServerState},
    copies::{Copies, Owner, quoted},
    development::Database,
    endpoint::{ClientStatus, Endpoint, offered},
    fetch::find_or_fetch,
    handle::{Handle, Refusals},
    observer::{Backend, CENSUS, Census, Observer},
    schema::{Schema, SchemaState},
    temporary::{on_connection, on_watched_connection},
    terminate::terminate,
};

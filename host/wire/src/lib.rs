//! Shares one backend of PostgreSQL among any clients that speak its protocol.
//!
//! A client connects to a Unix socket as to any server: sqlx, SeaORM, diesel-async, tokio-postgres, psql. Behind it
//! stands one backend, which outlives every client. Each sees what it would see on a connection of its own.
//!
//! # How a statement passes
//!
//! 1. `socket` reads what a client says (`startup`, then `frame` and `message`), `local` what the `Db` of this process
//!    says.
//! 2. `unit` puts together what belongs together: everything up to a Sync. `effects` judges what it does to the session.
//! 3. `admit` decides whose turn it is, and sends. Units of plain reads and writes follow each other without a wait for
//!    answers, of all clients; any other holds the backend until no transaction is open. `copy` keeps what a client
//!    says from being read as data of a COPY.
//! 4. `prepared` renames prepared statements, since two clients may use the same name, and tells the backend again of
//!    those that it does not know.
//! 5. `line` reads what the backend answers; `answer` gives it to the client whose unit is the oldest in flight.
//! 6. `settle` looks up what has changed in the session, before others use it: a client's `settings` move with it, and
//!    a client that keeps a lock, a temporary table or a cursor has a backend of its own until it gives that back.
//! 7. `patience` gives those who wait for a silent transaction a backend of their own.
//! 8. `running` reports how each statement ended, where requests are traced.
//! 9. `end` undoes what a client that leaves has begun.
//!
//! All state is one value, `core`, without sockets and tasks. `exchange` puts it behind a lock and does the rest.
//!
//! # What is not done
//!
//! A function that changes the session inside is not seen, unless it does so by `set_config` or a lock that the
//! statement itself calls, or by an UPDATE of `pg_settings`. In a transaction, RESET goes back to the settings of the
//! server, and only after it to those that the client has asked for at its start. `currval` and `lastval` may be of another client. A cancel that arrives in the very moment in
//! which its statement ends may hit a statement that was sent behind it.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")
)]

mod admit;
mod answer;
mod backend;
mod cancel;
mod channels;
mod client;
mod copy;
mod core;
mod effects;
mod end;
mod exchange;
mod executed;
mod flight;
mod frame;
mod greet;
mod identity;
mod ids;
mod line;
mod local;
mod message;
#[cfg(test)]
mod model;
mod naming;
mod patience;
mod perform;
mod ports;
mod prepared;
mod reply;
mod running;
mod settings;
mod settle;
mod socket;
mod startup;
mod statements;
mod status;
mod unit;

pub use exchange::{Config, Exchange, Open, Report};
pub use identity::Identity;
pub use running::Executed;
pub use status::ClientStatus;

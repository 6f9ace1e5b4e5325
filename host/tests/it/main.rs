//! The real host as a process, on a copy of the workspace, against a PostgreSQL it starts itself.
//!
//! Every test has a checkout, a port and a cluster of its own, so all run at once; what is compiled is shared. Nothing
//! here waits on the clock: a test waits for a state in `status.json`, or for an answer, with a generous limit.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

// The promise: a save changes the answer, and nothing else.
mod reload;
mod replay;
mod saves;
mod testing;
mod watch;

// What happens to requests, streams and tasks of a generation that is replaced.
mod generations;
mod keep;

// The host's own code changes.
mod restart;
mod routing;

// Nothing happens.
mod idle;

// It keeps too much code of the app's.
mod memory;

// The one connection, and the cluster.
mod database;

// Servers of others: TLS, and the URLs that people have.
mod tls;
mod urls;

mod waits;

mod chaos;

mod pooler;

mod failover;
mod fetching;

mod reconnect;

mod branches;
mod migrations;
mod no_database;
mod slow_migrations;
mod styles;

// What is wrong, told everywhere; what is waited for.
mod health;
mod starting;

// The leak, its cure, and what lies beyond it; another database without a restart.
mod leak;

// What a user sees, and the keys they press; what a program reads.
mod terminal;

// The sample app as a client sees it.
mod api;

// Rows as structs, and the schema that they stand for.
mod types;

// Variables, for the host and for the app; the app's log.
mod environment;
mod logs;

// How the host starts, refuses to, and ends.
mod process;

// The other binary.
mod production;

// Projects of others.
mod drivers;
mod expansion;
mod projects;

// The shape of the source.
mod docs;
mod layering;

// What the host adds to pages, and answers in the app's place.
mod browser;
mod mcp;
mod otlp;
mod pages;
mod traces;
mod web;

// All of it in a real browser.
mod dashboard;
mod in_place;
mod overlay;
mod readers;
mod seen;
mod tables;
mod tabs;

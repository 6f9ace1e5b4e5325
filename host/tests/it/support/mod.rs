//! What the tests stand on: a checkout to edit, a host to watch, a foreign server, a browser to look through, a coding
//! agent to ask with, a collector of telemetry.

mod agent;
mod checkout;
mod chromium;
mod collector;
mod foreign;
mod host;
mod idle;
mod labs;
mod mirror;
mod protobuf;
mod seed;
mod server;

pub(crate) use agent::Agent;
pub(crate) use checkout::Checkout;
pub(crate) use chromium::Chromium;
pub(crate) use collector::{Collector, SILENT, Span, attributes};
pub(crate) use foreign::{DEPENDENCIES, Foreign, give_back, manifest};
pub(crate) use host::{Host, REPLAYS, Status, client, eventually};
pub(crate) use labs::{Lab, lab};
pub(crate) use protobuf::Message;
pub(crate) use server::{ENCODED, Server, migrate};

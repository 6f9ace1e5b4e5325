//! `--json`: what is added to an [`Event`], and what is printed in place of one.

use std::net::SocketAddr;

use serde::Serialize;
use shared::PoolOwner;

use super::{banner::Banner, screen};
use crate::{config::Isolation, events::Event};

/// One object per line; `event` names its kind.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum JsonEvent<'a> {
    /// The first generation is live.
    Ready {
        version: &'static str,
        generation: u64,
        ready_ms: u128,
        address: SocketAddr,
        app: String,
        status: String,
        database: &'a str,
        pool_owner: PoolOwner,
        isolation: Isolation,
        restarts: u64,
    },
    ConnectionRefused {
        sqlstate: &'a str,
        message: &'a str,
        backends: Option<usize>,
    },
}

/// A reload that went live, with its backend as proof that the connection stayed.
#[derive(Serialize)]
pub(super) struct LiveWithProof {
    #[serde(flatten)]
    pub(super) event: Event,
    pub(super) backend_pid: Option<i32>,
    /// Whether it is the same as after the previous reload.
    pub(super) same_backend: Option<bool>,
    pub(super) backends: Option<usize>,
}

/// An event, and the line that a human reader gets for it.
#[derive(Serialize)]
pub(super) struct WithText {
    #[serde(flatten)]
    pub(super) event: Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
}

pub(super) fn ready(banner: &Banner, generation: u64) {
    let address = banner.address;
    screen::event(JsonEvent::Ready {
        version: env!("CARGO_PKG_VERSION"),
        generation,
        ready_ms: banner.since.elapsed().as_millis(),
        address,
        app: format!("http://{address}/"),
        status: format!("http://{address}/__dev/status.json"),
        database: &banner.database,
        pool_owner: banner.mode.pool,
        isolation: banner.mode.isolation,
        restarts: banner.restarts,
    });
}

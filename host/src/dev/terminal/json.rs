//! `--json`: the events other than the steps of a reload, which are [`Event`]s.

use std::net::SocketAddr;

use anstream::adapter::strip_str;
use serde::Serialize;
use shared::PoolOwner;

use super::{banner::Banner, screen};
use crate::reload::{Event, Isolation};

/// One object per line; `event` names its kind.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum JsonEvent<'a> {
    Starting {
        version: &'static str,
        pid: u32,
    },
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
    /// Text for a human reader.
    Note {
        text: String,
    },
}

/// A reload that went live, with its backend as proof that the connection stayed.
#[derive(Serialize)]
pub(super) struct Live {
    #[serde(flatten)]
    pub(super) event: Event,
    pub(super) backend_pid: Option<i32>,
    /// Whether it is the same as after the previous reload.
    pub(super) same_backend: Option<bool>,
    pub(super) backends: Option<usize>,
}

pub(in crate::dev) fn starting() {
    screen::event(JsonEvent::Starting {
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
    });
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

pub(super) fn note(text: &str) {
    let text = strip_str(text).to_string();
    screen::event(JsonEvent::Note {
        text: text.trim().to_owned(),
    });
}

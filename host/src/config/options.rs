//! `host dev`'s own flags.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::{mode::Mode, settings::Flags};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) flags: Flags,
    #[command(flatten)]
    pub(crate) mode: Mode,
    /// Apply pending migrations at once, or only when you ask for it
    #[arg(long, env = "HOST_MIGRATE", default_value = "auto")]
    pub(crate) migrate: Policy,
    /// How long a page waits for a running build, in milliseconds, before the old code answers
    #[arg(long, env = "HOST_HOLD_MS", value_name = "MS", default_value = "2000", value_parser = milliseconds)]
    pub(crate) hold: Duration,
    /// Run rustc directly when only the app has changed; off: always cargo
    #[arg(long, env = "HOST_REPLAY", value_name = "on|off", default_value = "on", action = clap::ArgAction::Set, value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) replay: bool,
    /// How much memory old code may keep, in MB, before the host restarts when idle, under the same PID; 0: no limit
    #[arg(
        long,
        env = "HOST_KEEP_MEMORY_MB",
        value_name = "MB",
        default_value_t = 512
    )]
    pub(crate) keep_memory: u64,
    /// How to link to a place in a file, for example vscode://file/{file}:{line}:{column}
    #[arg(long, env = "EDITOR_URL", value_name = "TEMPLATE")]
    pub(crate) editor_url: Option<String>,
    /// Another host name that /__dev answers to, besides localhost and loopback addresses
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_host: Vec<String>,
    /// One event per line on stdout, as JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

fn milliseconds(value: &str) -> Result<Duration, std::num::ParseIntError> {
    value.parse().map(Duration::from_millis)
}

/// When pending migrations are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Policy {
    /// Automatically.
    Auto,
    /// On request; until then every request gets the page that says so.
    Ask,
}

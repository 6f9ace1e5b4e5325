//! `host dev`'s own flags.

use std::time::Duration;

use super::{mode::Mode, schema::Policy};
use crate::settings::Flags;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(super) flags: Flags,
    #[command(flatten)]
    pub(super) mode: Mode,
    /// Whether pending migrations are applied at once, or when you say so
    #[arg(long, env = "HOST_MIGRATE", default_value = "auto")]
    pub(super) migrate: Policy,
    /// How long a page that is asked for during a build waits for it, in milliseconds; then the old code answers
    #[arg(long, env = "HOST_HOLD_MS", value_name = "MS", default_value = "2000", value_parser = milliseconds)]
    pub(super) hold: Duration,
    /// Whether rustc is asked alone when only the app has changed; off: cargo, always
    #[arg(long, env = "HOST_REPLAY", value_name = "on|off", default_value = "on", action = clap::ArgAction::Set, value_parser = clap::builder::BoolishValueParser::new())]
    pub(super) replay: bool,
    /// How much memory old code may keep before the host starts anew under its PID, at a moment of rest; 0: any
    #[arg(
        long,
        env = "HOST_KEEP_MEMORY_MB",
        value_name = "MB",
        default_value_t = 512
    )]
    pub(super) keep_memory: u64,
    /// Makes a link of a place in a file, for example vscode://file/{file}:{line}:{column}
    #[arg(long, env = "EDITOR_URL", value_name = "TEMPLATE")]
    pub(super) editor_url: Option<String>,
    /// Another host name under which /__dev answers, beside localhost and loopback addresses
    #[arg(long, value_name = "NAME")]
    pub(super) allow_host: Vec<String>,
    /// One event per line on stdout, as JSON, for programs
    #[arg(long)]
    pub(super) json: bool,
}

fn milliseconds(value: &str) -> Result<Duration, std::num::ParseIntError> {
    value.parse().map(Duration::from_millis)
}

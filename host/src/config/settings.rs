//! Collects the settings that `shared::env` validates: defaults of the command, `.env`, the environment, flags.

#[cfg(feature = "dev")]
use std::sync::Arc;

use host_accept::Limits;
#[cfg(feature = "dev")]
use shared::db::DbConfig;
use shared::env::{Env, Faults, Variables};

use super::environment;

/// Flags that override a variable. A flag takes precedence over the environment, which takes precedence over `.env`.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Flags {
    /// Address to listen on [default: 127.0.0.1] (HOST)
    #[arg(long)]
    host: Option<String>,
    /// Port to listen on, 0 for a free one [default: 3000] (PORT)
    #[arg(long, short)]
    port: Option<String>,
}

/// Whether the environment asks for lines without colour and cursor movements: `NO_COLOR`, or a CI run.
pub(crate) fn wants_plain_output() -> bool {
    ["NO_COLOR", "CI"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// The limits for clients.
pub(crate) fn limits(env: &Env) -> Limits {
    Limits {
        connections: env.http_max_connections,
        silence: env.http_header_timeout,
        drain: env.drain_timeout,
    }
}

/// Reads and validates all settings. An error lists every fault.
pub(crate) fn read(
    file: impl IntoIterator<Item = (String, String)>,
    flags: &Flags,
) -> Result<Env, Faults> {
    // The original environment: variables that were added from an older `.env` must not take precedence over `.env`.
    let environment = environment::original()
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value.to_str()?.to_owned())));
    let mut variables = Variables::default()
        .with(".env", file)
        .with("the environment", environment);
    for (flag, variable, value) in [
        ("--host", "HOST", &flags.host),
        ("--port", "PORT", &flags.port),
    ] {
        variables = variables.with(
            flag,
            value
                .iter()
                .map(|value| (variable.to_owned(), value.clone())),
        );
    }
    Env::read(&variables)
}

/// The settings that a generation gets when it starts.
#[cfg(feature = "dev")]
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) env: Arc<Env>,
    /// The configuration of `db`. In the leak modes each generation makes its own pool from it, with its own name.
    pub(crate) db_config: DbConfig,
    /// A number that changes whenever the app's environment variables do.
    pub(crate) environment: u64,
}

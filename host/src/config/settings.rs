//! Collects the settings from `.env`, the environment and flags, and validates them.

#[cfg(feature = "dev")]
use std::sync::Arc;
use std::time::Duration;

use host_accept::{Limits, Places};
#[cfg(feature = "dev")]
use shared::db::DbConfig;
#[cfg(feature = "dev")]
use shared::env::{Change, Reader, ShownSetting};
use shared::env::{Env, Faults, Variables};

use super::{environment, flags::Flags};
#[cfg(feature = "dev")]
use super::{options::HostSettings, project::Project};

/// Whether the environment asks for lines without colour and cursor movements: `NO_COLOR`, or a CI run.
pub(crate) fn wants_plain_output() -> bool {
    ["NO_COLOR", "CI"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// The limits for clients.
pub(crate) fn limits(env: &Env) -> Limits {
    Limits {
        places: Places::new(env.http_max_connections, "HTTP_MAX_CONNECTIONS"),
        silence: env.http_header_timeout,
        drain: env.drain_timeout,
        idle: Duration::ZERO, // the next process answers, or nobody waits
        upgraded: false,      // a generation knows its own
    }
}

/// Reads and validates the settings of the app and of production. An error lists every fault.
#[cfg(feature = "production")]
pub(crate) fn read(
    file: impl IntoIterator<Item = (String, String)>,
    flags: &Flags,
) -> Result<Env, Faults> {
    Env::read(&variables(Variables::default(), file, flags))
}

/// Reads and validates them and the dev server's own; what the project's workspace says is what they are without `.env`.
/// An error lists every fault. Of the settings that take a restart, those of `in_effect` win over everything else: a
/// running host has its own.
#[cfg(feature = "dev")]
pub(crate) fn read_dev(
    project: &Project,
    file: impl IntoIterator<Item = (String, String)>,
    flags: &Flags,
    in_effect: &[ShownSetting],
) -> Result<(Env, HostSettings), Faults> {
    let fixed = in_effect.iter().filter(|it| it.change == Change::Restart);
    let (manifest, declared) = project.declared();
    let declared = Variables::default().with(&manifest, declared);
    let variables = fixed.fold(variables(declared, file, flags), |variables, it| {
        variables.with(&it.source, [(it.name.to_owned(), it.value.clone())])
    });
    let mut reader = Reader::new(&variables);
    let env = Env::read_with(&mut reader, &variables);
    let host = HostSettings::read_with(&mut reader);
    reader.finish().map(|()| (env, host))
}

fn variables(
    declared: Variables,
    file: impl IntoIterator<Item = (String, String)>,
    flags: &Flags,
) -> Variables {
    // The original environment: variables that were added from an older `.env` must not take precedence over `.env`.
    let environment = environment::original()
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value.to_str()?.to_owned())));
    let variables = declared
        .with(".env", file)
        .with("the environment", environment);
    flags.layers().fold(variables, |variables, (flag, value)| {
        variables.with(flag, [value])
    })
}

/// The settings that a generation gets when it starts.
#[cfg(feature = "dev")]
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) env: Arc<Env>,
    /// All settings, as they may be shown.
    pub(crate) entries: Vec<ShownSetting>,
    /// The configuration of `db`. In the leak modes each generation makes its own pool from it, with its own name.
    pub(crate) db_config: DbConfig,
    /// A number that changes whenever the app's environment variables do.
    pub(crate) environment: u64,
    /// Why the last save of `.env` was refused, if it was; then the others are those before it.
    pub(crate) refused: Option<String>,
}

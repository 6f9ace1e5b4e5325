//! The dev server's own settings, typed.

use std::{path::PathBuf, time::Duration};

use serde::Serialize;
use shared::{
    PoolOwner,
    env::{Env, Reader, ShownSetting, milliseconds, on_or_off},
};

use super::{
    dev_table,
    flags::DevFlags,
    mode::{Isolation, Mode},
};

/// `host dev`'s command line.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) flags: DevFlags,
    /// One event per line on stdout, as JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// The settings of the dev server alone.
#[derive(Clone, Debug)]
pub(crate) struct HostSettings {
    /// Whether this project has a database.
    pub(crate) database: bool,
    pub(crate) download: Download,
    /// The folder of migrations, as it was written.
    pub(crate) migrations: Option<PathBuf>,
    /// Further folders that the app reads at run time, as they were written.
    pub(crate) watch: Vec<PathBuf>,
    pub(crate) mode: Mode,
    pub(crate) migrate: Policy,
    /// Whether each branch has a database of its own.
    pub(crate) branch_databases: bool,
    /// The folder of seeds, as it was written.
    pub(crate) seeds: Option<PathBuf>,
    /// How long a page waits for a running build.
    pub(crate) hold: Duration,
    /// Whether rustc may be run without cargo.
    pub(crate) replay: bool,
    /// Whether tests run after each save, until a key or a button says otherwise.
    pub(crate) test: bool,
    /// How much memory old code may keep; `None` is no limit.
    pub(crate) keep_memory_mb: Option<u64>,
    /// How many requests are kept with what they did.
    pub(crate) traces: usize,
    /// Whether pages show what it took to render them.
    pub(crate) bar: bool,
    pub(crate) morph: bool,
    /// Whether coding agents may ask.
    pub(crate) mcp: bool,
    pub(crate) editor_url: Option<String>,
    /// Names that `/__dev` answers to, besides local ones.
    pub(crate) allow: Vec<String>,
    /// All settings, also those of the app, as they may be shown.
    pub(crate) entries: Vec<ShownSetting>,
}

/// Whether PostgreSQL may be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Download {
    /// If the user says yes.
    Ask,
    On,
    Off,
}

/// When pending migrations are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Policy {
    /// Automatically.
    Auto,
    /// On request; until then every request gets the page that says so.
    Ask,
}

impl HostSettings {
    /// Fails if each branch is to have a database and cannot have one.
    pub(crate) fn check_branch_databases(&self, env: &Env) -> Result<(), String> {
        let obstacle = if !self.branch_databases {
            return Ok(());
        } else if !self.database {
            "HOST_DATABASE is none"
        } else if self.mode.is_demonstration() {
            "this mode demonstrates connections to one database"
        } else if env.database_url.is_some() {
            "DATABASE_URL names a server, and only the private PostgreSQL has room for more databases"
        } else {
            return Ok(());
        };
        Err(format!(
            "each branch is to have a database (HOST_BRANCH_DATABASES), and {obstacle}: drop one of the two"
        ))
    }

    /// Reads them, after those of the app.
    pub(super) fn read_with(reader: &mut Reader<'_>) -> Self {
        let database = |value: &str| match value {
            "postgres" => Ok(true),
            "none" => Ok(false),
            other => Err(format!("`{other}` is neither postgres nor none")),
        };
        let download = |value: &str| match value {
            "ask" => Ok(Download::Ask),
            "on" => Ok(Download::On),
            "off" => Ok(Download::Off),
            other => Err(format!("`{other}` is neither ask nor on nor off")),
        };
        let folder = |value: &str| Ok((value != "none").then(|| value.into()));
        let switch = |value: &str| match value {
            "on" => Ok(Isolation::On),
            "off" => Ok(Isolation::Off),
            other => Err(format!("`{other}` is neither on nor off")),
        };
        let connections = |value: &str| match value {
            "" => Ok(None),
            value => {
                let number = value.parse().ok().filter(|number| *number >= 6);
                let number = number.map(Some);
                number.ok_or_else(|| format!("`{value}` is not a number from 6 to 65535"))
            }
        };
        let policy = |value: &str| match value {
            "auto" => Ok(Policy::Auto),
            "ask" => Ok(Policy::Ask),
            other => Err(format!("`{other}` is neither auto nor ask")),
        };
        let megabytes = |value: &str| {
            let number = value.parse::<u64>();
            let number = number.map(|number| (number > 0).then_some(number));
            number.map_err(|_| format!("`{value}` is not a number of megabytes"))
        };
        let count = |value: &str| {
            let number = value.parse::<usize>();
            number.map_err(|_| format!("`{value}` is not a number of requests"))
        };
        let text = |value: &str| Ok((!value.is_empty()).then(|| value.to_owned()));
        let list = |value: &str| {
            let names = value.split(',').map(str::trim);
            let names = names.filter(|name| !name.is_empty());
            Ok(names.map(str::to_owned).collect())
        };
        let folders = |value: &str| {
            list(value).map(|all: Vec<String>| all.iter().map(PathBuf::from).collect())
        };
        let mut settings = Self {
            database: reader.take(&dev_table::HOST_DATABASE, database),
            download: reader.take(&dev_table::HOST_DOWNLOAD, download),
            migrations: reader.take(&dev_table::HOST_MIGRATIONS, folder),
            watch: reader.take(&dev_table::HOST_WATCH, folders),
            mode: Mode {
                pool: reader.take(&dev_table::HOST_POOL, str::parse::<PoolOwner>),
                isolation: reader.take(&dev_table::HOST_ISOLATION, switch),
                max_connections: reader.take(&dev_table::HOST_MAX_CONNECTIONS, connections),
            },
            migrate: reader.take(&dev_table::HOST_MIGRATE, policy),
            branch_databases: reader.take(&dev_table::HOST_BRANCH_DATABASES, on_or_off),
            seeds: reader.take(&dev_table::HOST_SEEDS, folder),
            hold: reader.take(&dev_table::HOST_HOLD_MS, milliseconds(0)),
            replay: reader.take(&dev_table::HOST_REPLAY, on_or_off),
            test: reader.take(&dev_table::HOST_TEST, on_or_off),
            keep_memory_mb: reader.take(&dev_table::HOST_KEEP_MEMORY_MB, megabytes),
            traces: reader.take(&dev_table::HOST_TRACES, count),
            bar: reader.take(&dev_table::HOST_BAR, on_or_off),
            morph: reader.take(&dev_table::HOST_MORPH, on_or_off),
            mcp: reader.take(&dev_table::HOST_MCP, on_or_off),
            editor_url: reader.take(&dev_table::EDITOR_URL, text),
            allow: reader.take(&dev_table::HOST_ALLOW, list),
            entries: Vec::new(),
        };
        settings.entries = reader.entries();
        settings
    }
}

//! The settings, typed and validated once, before anything starts.
//!
//! Owns the list of variables, their defaults and their rules. All faults are reported together, so that fixing one
//! does not reveal the next. Nothing else in the project reads settings from the environment.

mod entries;
mod parse;
mod unread;

pub use entries::Entry;
use parse::{address, on_or_off, up_to};

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use serde::Serialize;

use crate::db::{DatabaseUrl, DbConfig};

/// The settings of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Env {
    /// `DATABASE_URL`. `host dev` starts a private cluster without it; `host serve` requires it.
    pub database_url: Option<DatabaseUrl>,
    /// `APP_ENV`, default `development` (`production` in `host serve`).
    pub app_env: AppEnv,
    /// `HOST`, default 127.0.0.1: other machines should not reach a dev server.
    pub host: IpAddr,
    /// `PORT`, default 3000; 0 takes a free one.
    pub port: u16,
    /// `DATABASE_MAX_CONNECTIONS`, default 1: pipelining makes one enough, and a second would hide a leak.
    pub database_max_connections: usize,
    /// `DATABASE_CONNECT_TIMEOUT_MS`, default 5000: opening a connection, at each of the URL's addresses.
    pub database_connect_timeout: Duration,
    /// `DATABASE_WAIT_TIMEOUT_MS`, default 10000: waiting for the connection while others use it.
    pub database_wait_timeout: Duration,
    /// `DATABASE_STATEMENT_TIMEOUT_MS`, default 30000; 0 is no limit. Bounds what an abandoned statement can block.
    pub database_statement_timeout: Duration,
    /// `DATABASE_PIPELINE`, default `on`; `off` behind a pooler in transaction mode: each statement is then a transaction.
    pub database_pipeline: bool,
    /// `DRAIN_TIMEOUT_MS`, default 10000: how long requests may go on in a generation, or a host, that is ending.
    pub drain_timeout: Duration,
    /// `APP_START_TIMEOUT_MS`, default 10000: how long `app()` may take.
    pub app_start_timeout: Duration,
    /// `HTTP_MAX_CONNECTIONS`, default 512: clients beyond it wait. Each takes a file descriptor, of which a process
    /// often has 1024.
    pub http_max_connections: usize,
    /// `HTTP_HEADER_TIMEOUT_MS`, default 30000: how long a connection may take to send the head of its next request.
    pub http_header_timeout: Duration,
    /// The source of each variable that is set; the others have their defaults.
    sources: BTreeMap<&'static str, String>,
    /// libpq's variables that are set: for [`Env::unread`] only.
    libpq_variables: Vec<&'static str>,
}

/// Where the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AppEnv {
    /// On a developer's machine.
    Development,
    /// Under tests.
    Test,
    /// In production.
    Production,
}

/// The raw variables, each with its source; a later layer wins.
#[derive(Debug, Default)]
pub struct Variables {
    values: BTreeMap<String, (String, String)>,
}

impl Variables {
    /// Adds a layer: `source` is named in faults, e.g. `.env`, `the environment`, `--port`.
    #[must_use]
    pub fn with(
        mut self,
        source: &str,
        values: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        self.values.extend(
            values
                .into_iter()
                .map(|(name, value)| (name, (value, source.to_owned()))),
        );
        self
    }
}

/// One wrong setting.
#[derive(Debug)]
pub struct Fault {
    variable: &'static str,
    problem: String,
    source: String,
    example: &'static str,
}

/// Every wrong setting of one start.
#[derive(Debug, thiserror::Error)]
pub struct Faults(Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = if self.0.len() == 1 {
            "1 setting is"
        } else {
            &format!("{} settings are", self.0.len())
        };
        write!(f, "{settings} wrong:")?;
        for Fault {
            variable,
            problem,
            source,
            example,
        } in &self.0
        {
            write!(
                f,
                "\n\n  {variable} (from {source})\n    {problem}\n    example: {variable}={example}"
            )?;
        }
        Ok(())
    }
}

impl Env {
    /// Validates all variables at once.
    ///
    /// ```
    /// use shared::env::{Env, Variables};
    ///
    /// let faults = Env::read(&Variables::default().with(".env", [
    ///     ("PORT".into(), "eighty".into()),
    ///     ("APP_ENV".into(), "staging".into()),
    /// ])).unwrap_err().to_string();
    /// assert!(faults.contains("PORT (from .env)") && faults.contains("APP_ENV (from .env)"));
    /// ```
    ///
    /// # Errors
    ///
    /// [`Faults`], which names every wrong variable, what is wrong, where it came from and an example. It never
    /// contains secrets.
    pub fn read(variables: &Variables) -> Result<Self, Faults> {
        let mut reader = Reader {
            variables,
            faults: Vec::new(),
            sources: BTreeMap::new(),
        };
        let mut env = Self {
            database_url: reader.take(
                "DATABASE_URL",
                "postgres://me:secret@localhost:5432/app",
                |v| DatabaseUrl::parse(v).map(Some),
                None,
            ),
            app_env: reader.take("APP_ENV", "development", str::parse, AppEnv::Development),
            host: reader.take(
                "HOST",
                "127.0.0.1",
                address,
                IpAddr::V4(Ipv4Addr::LOCALHOST),
            ),
            port: reader.take(
                "PORT",
                "3000",
                |v| {
                    v.parse()
                        .map_err(|_| format!("`{v}` is not a port, a number from 0 to 65535"))
                },
                3000,
            ),
            database_max_connections: reader.take("DATABASE_MAX_CONNECTIONS", "1", up_to(1_000), 1),
            database_connect_timeout: reader.millis(
                "DATABASE_CONNECT_TIMEOUT_MS",
                "5000",
                1,
                5_000,
            ),
            database_wait_timeout: reader.millis("DATABASE_WAIT_TIMEOUT_MS", "10000", 1, 10_000),
            database_statement_timeout: reader.millis(
                "DATABASE_STATEMENT_TIMEOUT_MS",
                "30000",
                0,
                30_000,
            ),
            database_pipeline: reader.take("DATABASE_PIPELINE", "off", on_or_off, true),
            drain_timeout: reader.millis("DRAIN_TIMEOUT_MS", "10000", 0, 10_000),
            app_start_timeout: reader.millis("APP_START_TIMEOUT_MS", "10000", 1, 10_000),
            http_max_connections: reader.take("HTTP_MAX_CONNECTIONS", "512", up_to(100_000), 512),
            http_header_timeout: reader.millis("HTTP_HEADER_TIMEOUT_MS", "30000", 1, 30_000),
            sources: BTreeMap::new(),
            libpq_variables: unread::found(variables),
        };
        env.sources = reader.sources;
        if reader.faults.is_empty() {
            Ok(env)
        } else {
            Err(Faults(reader.faults))
        }
    }
}

impl Env {
    /// The configuration of a pool for `url` on the current runtime, with the limits of these settings.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn db_config(&self, url: DatabaseUrl, application_name: String) -> DbConfig {
        DbConfig {
            max_connections: self.database_max_connections,
            connect_timeout: self.database_connect_timeout,
            wait_timeout: self.database_wait_timeout,
            statement_timeout: self.database_statement_timeout,
            pipeline: self.database_pipeline,
            ..DbConfig::new(url, application_name)
        }
    }
}

/// Collects faults while the fields are read, so that one pass finds them all.
struct Reader<'a> {
    variables: &'a Variables,
    faults: Vec<Fault>,
    sources: BTreeMap<&'static str, String>,
}

impl Reader<'_> {
    fn take<T>(
        &mut self,
        variable: &'static str,
        example: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
        default: T,
    ) -> T {
        // An empty value counts as unset: users write `PORT=` in a .env file to disable a line.
        let Some((value, source)) = self
            .variables
            .values
            .get(variable)
            .filter(|(value, _)| !value.trim().is_empty())
        else {
            return default;
        };
        self.sources.insert(variable, source.clone());
        parse(value.trim()).unwrap_or_else(|problem| {
            self.faults.push(Fault {
                variable,
                problem,
                source: source.clone(),
                example,
            });
            default
        })
    }

    fn millis(
        &mut self,
        variable: &'static str,
        example: &'static str,
        least: u64,
        default: u64,
    ) -> Duration {
        let parse = |v: &str| {
            v.parse()
                .ok()
                .filter(|ms| (least..=3_600_000).contains(ms))
                .ok_or_else(|| {
                    format!(
                        "`{v}` is not a number of milliseconds from {least} to 3600000 (an hour)"
                    )
                })
        };
        Duration::from_millis(self.take(variable, example, parse, default))
    }
}

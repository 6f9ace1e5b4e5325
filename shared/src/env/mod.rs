//! The settings, typed and validated once, before anything starts.
//!
//! Owns the list of variables, their defaults and their rules. All faults are reported together, so that fixing one
//! does not reveal the next. Nothing else in the project reads settings from the environment. The variables of an app's
//! own are in [`own`](Env::own).

mod own;
mod parse;
mod setting;
mod table;
mod unread;

pub use own::Own;
use parse::{address, address_with_port, up_to};
pub use parse::{milliseconds, on_or_off, without_user};
pub use setting::{Change, Reader, Setting, ShownSetting};
pub use table::{HOST, PORT, SETTINGS};

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
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
    /// `DRAIN_DELAY_MS`, default 0: how long production serves on after a signal, without being ready.
    pub drain_delay: Duration,
    /// `APP_START_TIMEOUT_MS`, default 10000: how long `app()` may take.
    pub app_start_timeout: Duration,
    /// `HTTP_MAX_CONNECTIONS`, default 512: clients beyond it wait. Each takes a file descriptor, of which a process
    /// often has 1024.
    pub http_max_connections: usize,
    /// `HTTP_HEADER_TIMEOUT_MS`, default 30000: how long a connection may take to send the head of its next request.
    pub http_header_timeout: Duration,
    /// `HTTP_HEALTH`, default `on`: production answers `/healthz` and `/readyz` itself.
    pub http_health: bool,
    /// `HTTP_ACCESS_LOG`, default `off`: production logs a line for each request.
    pub http_access_log: bool,
    /// `HTTP_METRICS_ADDRESS`: where production serves its metrics, if anywhere.
    pub metrics_address: Option<SocketAddr>,
    /// `HTTP_LOG_FORMAT`, default `text`.
    pub log_format: LogFormat,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: the collector, if there is one. As it is written: in development it may be there
    /// for others.
    pub otlp_endpoint: Option<String>,
    /// All of it, to be shown.
    entries: Vec<ShownSetting>,
    /// Where each variable came from: for the faults of [`Env::own`].
    sources: BTreeMap<String, String>,
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

/// How production writes its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// An object on each line, for programs.
    Json,
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
    variable: String,
    problem: String,
    source: Option<String>,
    example: Option<String>,
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
            write!(f, "\n\n  {variable}")?;
            if let Some(source) = source {
                write!(f, " (from {source})")?;
            }
            write!(f, "\n    {problem}")?;
            if let Some(example) = example {
                write!(f, "\n    example: {variable}={example}")?;
            }
        }
        Ok(())
    }
}

impl Faults {
    /// `value`, unless there are faults.
    fn unless<T>(faults: Vec<Fault>, value: T) -> Result<T, Self> {
        match faults.is_empty() {
            true => Ok(value),
            false => Err(Self(faults)),
        }
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
        let mut reader = Reader::new(variables);
        let env = Self::read_with(&mut reader, variables);
        reader.finish().map(|()| env)
    }

    /// The same with a reader that reads further settings, so that the faults of all of them are reported together.
    /// What it returns counts only if [`Reader::finish`] finds no fault.
    #[must_use]
    pub fn read_with(reader: &mut Reader<'_>, variables: &Variables) -> Self {
        let url = |text: &str| match text {
            "" => Ok(None),
            url => DatabaseUrl::parse(url).map(Some),
        };
        let shown = |url: &Option<DatabaseUrl>, _: &str| {
            url.as_ref().map_or_else(String::new, ToString::to_string)
        };
        let port = |text: &str| {
            text.parse()
                .map_err(|_| format!("`{text}` is not a port, a number from 0 to 65535"))
        };
        let mut env = Self {
            database_url: reader.take_masked(&table::DATABASE_URL, url, shown),
            app_env: reader.take(&table::APP_ENV, str::parse),
            host: reader.take(&table::HOST, address),
            port: reader.take(&table::PORT, port),
            database_max_connections: reader.take(&table::DATABASE_MAX_CONNECTIONS, up_to(1_000)),
            database_connect_timeout: reader
                .take(&table::DATABASE_CONNECT_TIMEOUT_MS, milliseconds(1)),
            database_wait_timeout: reader.take(&table::DATABASE_WAIT_TIMEOUT_MS, milliseconds(1)),
            database_statement_timeout: reader
                .take(&table::DATABASE_STATEMENT_TIMEOUT_MS, milliseconds(0)),
            database_pipeline: reader.take(&table::DATABASE_PIPELINE, on_or_off),
            drain_timeout: reader.take(&table::DRAIN_TIMEOUT_MS, milliseconds(0)),
            drain_delay: reader.take(&table::DRAIN_DELAY_MS, milliseconds(0)),
            app_start_timeout: reader.take(&table::APP_START_TIMEOUT_MS, milliseconds(1)),
            http_max_connections: reader.take(&table::HTTP_MAX_CONNECTIONS, up_to(100_000)),
            http_header_timeout: reader.take(&table::HTTP_HEADER_TIMEOUT_MS, milliseconds(1)),
            http_health: reader.take(&table::HTTP_HEALTH, on_or_off),
            http_access_log: reader.take(&table::HTTP_ACCESS_LOG, on_or_off),
            metrics_address: reader.take(&table::HTTP_METRICS_ADDRESS, address_with_port),
            log_format: reader.take(&table::HTTP_LOG_FORMAT, str::parse),
            otlp_endpoint: reader.take_masked(
                &table::OTEL_EXPORTER_OTLP_ENDPOINT,
                |text| Ok((!text.is_empty()).then(|| text.to_owned())),
                |_, text| without_user(text),
            ),
            entries: Vec::new(),
            sources: variables
                .values
                .iter()
                .map(|(name, (_, source))| (name.clone(), source.clone()))
                .collect(),
            libpq_variables: unread::found(variables),
        };
        env.entries = reader.entries();
        env
    }

    /// Every setting, as it may be shown.
    ///
    /// ```
    /// use shared::env::{Env, Variables};
    ///
    /// let url = ("DATABASE_URL".into(), "postgres://me:secret@localhost/app".into());
    /// let env = Env::read(&Variables::default().with(".env", [url])).unwrap();
    /// let shown = &env.entries()[0];
    /// assert_eq!((shown.name, shown.source.as_str()), ("DATABASE_URL", ".env"));
    /// assert!(!shown.value.contains("secret"));
    /// ```
    #[must_use]
    pub fn entries(&self) -> &[ShownSetting] {
        &self.entries
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

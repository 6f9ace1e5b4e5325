//! `DATABASE_URL`: what people paste, turned into what tokio-postgres takes, or refused by name.
//!
//! tokio-postgres rejects any key it does not know with "unknown option", and URLs that were written for other
//! clients carry such keys. Each of them is translated or answered here. The password never leaves this file in text.

use std::{fmt, str::FromStr};

use tokio_postgres::config::Host;

/// A parsed and accepted database URL. `Debug` and `Display` mask the password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    config: tokio_postgres::Config,
}

impl DatabaseUrl {
    /// Accepts `postgres://…`, `postgresql://…` and libpq's `key=value` form.
    ///
    /// ```
    /// use shared::db::DatabaseUrl;
    ///
    /// let url = DatabaseUrl::parse("postgres://me:secret@localhost/app?schema=shop").unwrap();
    /// assert_eq!(url.to_string(), "postgres://me:***@localhost/app");
    /// assert!(DatabaseUrl::parse("postgres://localhost/app?sslmode=verify-full").unwrap_err().contains("sslmode"));
    /// ```
    ///
    /// # Errors
    ///
    /// A sentence that names the part which cannot be used and what to write instead, without the password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (base, query) = match url.split_once('?') {
            Some((base, query)) if base.contains("://") => (base, query),
            _ => (url, ""),
        };
        if let Some((scheme, _)) = base.split_once("://")
            && !matches!(scheme, "postgres" | "postgresql")
        {
            return Err(format!(
                "`{scheme}://` is not PostgreSQL; the URL starts with postgres:// or postgresql://"
            ));
        }

        let mut kept = Vec::new();
        let mut search_path = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (key, value) {
                ("sslmode", "allow") => kept.push("sslmode=prefer".to_owned()),
                ("sslmode", "require" | "verify-ca" | "verify-full") => {
                    return Err(format!("sslmode={value} asks for TLS, which this server does not speak: use sslmode=prefer or disable, or a tunnel to the database"));
                }
                ("sslrootcert" | "sslcert" | "sslkey", _) => return Err(format!("{key} belongs to TLS, which this server does not speak: remove it")),
                ("schema", name) if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => search_path = Some(name),
                ("schema", name) => return Err(format!("schema={name} is not a plain identifier: set search_path for the role instead")),
                ("pgbouncer", "false") => {}
                ("pgbouncer", _) => return Err("pgbouncer=true: prepared statements on one kept connection need PostgreSQL itself: use the direct URL (often port 5432 in place of 6543)".into()),
                ("connection_limit", _) => return Err("connection_limit is another client's: set DATABASE_MAX_CONNECTIONS".into()),
                ("pool_timeout", _) => return Err("pool_timeout is another client's: set DATABASE_WAIT_TIMEOUT_MS".into()),
                _ => kept.push(pair.to_owned()),
            }
        }

        let plain = if kept.is_empty() {
            base.to_owned()
        } else {
            format!("{base}?{}", kept.join("&"))
        };
        let mut config =
            tokio_postgres::Config::from_str(&plain).map_err(|error| explain(&error))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("no host in it: postgres://user@HOST/database, or ?host=/directory for a Unix socket".into());
        }
        if let Some(schema) = search_path {
            add_options(&mut config, &format!("-c search_path={schema}"));
        }
        Ok(Self { config })
    }

    /// A URL-less address: the private cluster's Unix socket.
    #[must_use]
    pub fn socket(directory: &std::path::Path, port: u16, user: &str, database: &str) -> Self {
        let mut config = tokio_postgres::Config::new();
        config
            .host_path(directory)
            .port(port)
            .user(user)
            .dbname(database);
        Self { config }
    }

    /// What tokio-postgres connects with; this carries the password.
    #[must_use]
    pub fn config(&self) -> &tokio_postgres::Config {
        &self.config
    }
}

/// Adds to the `options` of a configuration instead of replacing what the URL brought.
pub(super) fn add_options(config: &mut tokio_postgres::Config, more: &str) {
    let options = config
        .get_options()
        .map_or_else(|| more.to_owned(), |own| format!("{more} {own}"));
    config.options(options);
}

/// tokio-postgres names the faulty option in the *source* of its error, which does not repeat the URL.
fn explain(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("not a usable PostgreSQL URL: {source}"),
        None => "not a usable PostgreSQL URL".into(),
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.config;
        let user = config.get_user().unwrap_or("(you)");
        let password = if config.get_password().is_some() {
            ":***"
        } else {
            ""
        };
        let hosts: Vec<String> = config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(i, host)| {
                let port = config
                    .get_ports()
                    .get(i)
                    .or(config.get_ports().first())
                    .filter(|port| **port != 5432);
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                match host {
                    Host::Tcp(name) => format!("{name}{port}"),
                    #[cfg(unix)]
                    Host::Unix(path) => format!("{}{port}", path.display()),
                }
            })
            .collect();
        write!(
            f,
            "postgres://{user}{password}@{}/{}",
            hosts.join(","),
            config.get_dbname().unwrap_or(user)
        )
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

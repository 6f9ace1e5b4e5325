//! `DATABASE_URL`: translates what users paste into what tokio-postgres accepts, or names what it cannot use.
//!
//! tokio-postgres rejects any key it does not know with "unknown option", and URLs written for other clients contain
//! such keys. Each of them is translated or explained here. The password never leaves this file as text.

mod parts;
mod sslmode;

use std::{fmt, str::FromStr};

use tokio_postgres::config::{ChannelBinding, Host, SslMode};

use self::{parts::Parts, sslmode::SslSettings};
use super::{address::names, tls::Tls};

/// A parsed and accepted database URL. `Debug` and `Display` mask the password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    config: tokio_postgres::Config,
    ssl: SslSettings,
    tls: Tls,
    absent: Option<&'static str>,
}

impl DatabaseUrl {
    /// Accepts `postgres://…`, `postgresql://…` and libpq's `key=value` form.
    ///
    /// ```
    /// use shared_db::DatabaseUrl;
    ///
    /// let url = DatabaseUrl::parse("postgres://me:secret@localhost/app?schema=shop").unwrap();
    /// assert_eq!(url.to_string(), "postgres://me:***@localhost/app");
    /// let forgot = DatabaseUrl::parse("postgres://me:p@ss@localhost/app").unwrap_err();
    /// assert!(forgot.contains("%40") && !forgot.contains("ss@"));
    /// ```
    ///
    /// # Errors
    ///
    /// A sentence that names the part which cannot be used and what to write instead, without the password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let parts = Parts::of(url)?;
        let (mut kept, mut search_path, mut ssl) = (Vec::new(), None, SslSettings::default());
        for (key, value, whole) in &parts.parameters {
            match (key.as_str(), value.as_str()) {
                ("sslmode", _) => ssl.mode = Some(value.clone()),
                ("sslrootcert", "") => {}
                ("sslrootcert", _) => ssl.root = Some(value.clone()),
                // As libpq reads this JDBC option.
                ("ssl", "true") => ssl.mode = Some("require".into()),
                ("ssl" | "sslaccept" | "requiressl", _) => return Err(format!("{key} is another client's: set sslmode to disable, prefer, require, verify-ca or verify-full")),
                ("sslcert" | "sslkey" | "sslpassword", _) => return Err(format!("{key}: client certificates are not supported; remove it and use a password")),
                ("sslcrl" | "sslcrldir", _) => return Err(format!("{key}: revocation lists are not supported; remove it")),
                ("gssencmode", "disable" | "prefer") | ("sslsni", "1") | ("sslcompression", "0") | ("ssl_min_protocol_version", "TLSv1" | "TLSv1.1" | "TLSv1.2") => {}
                ("service" | "servicefile" | "passfile", _) => return Err(format!("{key}: files of libpq are not read; write what it holds into DATABASE_URL")),
                ("keepalives_count", _) => kept.push(whole.replacen("keepalives_count", "keepalives_retries", 1)),
                ("target_session_attrs", "primary") => return Err("target_session_attrs=primary is not supported: use read-write".into()),
                ("target_session_attrs", "standby" | "prefer-standby") => return Err(format!("target_session_attrs={value} is not supported: use read-only or any")),
                ("schema", name) if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => search_path = Some(name),
                ("schema", name) => return Err(format!("schema={name} is not a plain identifier: set search_path for the role instead")),
                ("pgbouncer", "false") => {}
                ("pgbouncer", _) => return Err("pgbouncer=true: take it out of the URL and set DATABASE_PIPELINE=off, or use the direct URL (often port 5432 in place of 6543)".into()),
                ("connection_limit", _) => return Err("connection_limit is another client's: set DATABASE_MAX_CONNECTIONS".into()),
                ("pool_timeout", _) => return Err("pool_timeout is another client's: set DATABASE_WAIT_TIMEOUT_MS".into()),
                _ => kept.push(whole.clone()),
            }
        }

        let (ssl_mode, tls) = ssl.resolve()?;
        let mut config = tokio_postgres::Config::from_str(&parts.with(&kept))
            .map_err(|error| explain(&error))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("no host in it: postgres://user@HOST/database, or ?host=/directory for a Unix socket".into());
        }
        // A certificate may be for an address, but tokio-postgres uses TLS only with a host name.
        if config.get_hosts().is_empty() {
            for address in config.get_hostaddrs().to_vec() {
                config.host(address.to_string());
            }
        }
        if ssl_mode == SslMode::Disable && config.get_channel_binding() == ChannelBinding::Require {
            return Err("channel_binding=require needs TLS, and sslmode=disable forbids it".into());
        }
        // PostgreSQL has no TLS on a Unix socket; libpq ignores sslmode there too.
        let local = |host: &Host| matches!(host, Host::Unix(_));
        config.ssl_mode(if config.get_hosts().iter().all(local) {
            SslMode::Disable
        } else {
            ssl_mode
        });
        if let Some(schema) = search_path {
            add_options(&mut config, &format!("-c search_path={schema}"));
        }
        Ok(Self {
            config,
            ssl,
            tls,
            absent: None,
        })
    }

    /// The private cluster's Unix socket, which has no URL.
    #[must_use]
    pub fn socket(directory: &std::path::Path, port: u16, user: &str, database: &str) -> Self {
        let mut config = tokio_postgres::Config::new();
        config
            .host_path(directory)
            .port(port)
            .user(user)
            .dbname(database)
            .ssl_mode(SslMode::Disable);
        Self {
            config,
            ssl: SslSettings::default(),
            tls: Tls::unverified(),
            absent: None,
        }
    }

    /// The same server and role, with another database.
    ///
    /// ```
    /// use shared_db::DatabaseUrl;
    ///
    /// let url = DatabaseUrl::parse("postgres://me@localhost/app").unwrap();
    /// assert_eq!(url.with_database("template1").to_string(), "postgres://me@localhost/template1");
    /// ```
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        let mut other = self.clone();
        other.config.dbname(name);
        other
    }

    /// No server, for a process that runs without a database. Each use of a [`Db`](crate::Db) for it fails with `why`,
    /// and nothing connects.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use shared_db::{DatabaseUrl, Db, DbConfig};
    ///
    /// let url = DatabaseUrl::absent("this process runs without a database");
    /// let db = Db::new(&DbConfig::new(url, "example".to_owned()));
    /// let error = db.query("SELECT 1", &[]).await.unwrap_err();
    /// assert_eq!(error.to_string(), "this process runs without a database");
    /// # }
    /// ```
    #[must_use]
    pub fn absent(why: &'static str) -> Self {
        Self {
            config: tokio_postgres::Config::new(),
            ssl: SslSettings::default(),
            tls: Tls::unverified(),
            absent: Some(why),
        }
    }

    /// Why there is no server, if it is [`absent`](Self::absent).
    #[must_use]
    pub fn absence(&self) -> Option<&'static str> {
        self.absent
    }

    /// The configuration for tokio-postgres, with the password.
    #[must_use]
    pub fn config(&self) -> &tokio_postgres::Config {
        &self.config
    }

    /// `sslmode` and `sslrootcert` as libpq's programs need them.
    #[must_use]
    pub fn sslmode(&self) -> (&str, Option<&str>) {
        self.ssl.to_libpq()
    }

    /// How its server is verified.
    pub(super) fn tls(&self) -> &Tls {
        &self.tls
    }
}

/// Adds to the `options` of a configuration instead of replacing those of the URL.
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
        if self.absent.is_some() {
            return f.write_str("none");
        }
        let config = &self.config;
        let user = config.get_user().unwrap_or("(you)");
        let password = if config.get_password().is_some() {
            ":***"
        } else {
            ""
        };
        write!(
            f,
            "postgres://{user}{password}@{}/{}",
            names(config).join(","),
            config.get_dbname().unwrap_or(user)
        )
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::DatabaseUrl;

    /// What a user sees of a URL: it as text, or why it cannot be used.
    fn shown(url: &str) -> String {
        match DatabaseUrl::parse(url) {
            Ok(url) => format!("{url} {url:?}"),
            Err(why) => why,
        }
    }

    fn encoded(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02X}")).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_password_is_never_shown_however_it_is_written(middle in "[@:/?#%\\[\\]&='a-c0-9 ]{0,8}") {
            // Its ends appear nowhere else.
            let password = format!("zqz{middle}xjx");
            for url in [
                format!("postgres://me:{password}@db.example:5432/app"),
                format!("postgres://me:{}@db.example/app?sslmode=disable", encoded(&password)),
                format!("postgres://db.example/app?user=me&password={password}"),
                format!("host=db.example user=me password='{}'", password.replace('\'', "\\'")),
            ] {
                let shown = shown(&url);
                prop_assert!(!shown.contains("zqz") && !shown.contains("xjx"), "{url}: {shown}");
            }
        }

        #[test]
        fn an_encoded_password_is_the_one_that_is_sent(password in "\\PC{1,20}") {
            let url = format!("postgres://me:{}@db.example/app", encoded(&password));
            let url = DatabaseUrl::parse(&url).expect("all of it is encoded");
            prop_assert_eq!(url.config().get_password(), Some(password.as_bytes()));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            shown(&text);
            shown(&format!("postgres://{text}"));
            shown(&format!("postgres://db.example/app?{text}"));
        }
    }
}

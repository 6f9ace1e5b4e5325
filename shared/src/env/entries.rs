//! The settings as they may be shown: effective values, where each came from, secrets masked.

use serde::Serialize;

use super::Env;

/// One setting.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The variable.
    pub name: &'static str,
    /// The effective value; a password in it is masked.
    pub value: String,
    /// `.env`, `the environment`, a flag, or `default`.
    pub source: String,
}

impl Env {
    /// Every setting.
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
    pub fn entries(&self) -> Vec<Entry> {
        let url = self.database_url.as_ref();
        let millis = |limit: std::time::Duration| limit.as_millis().to_string();
        let app_env = serde_json::to_value(self.app_env).unwrap_or_default();
        [
            (
                "DATABASE_URL",
                url.map_or_else(String::new, ToString::to_string),
            ),
            ("APP_ENV", app_env.as_str().unwrap_or_default().to_owned()),
            ("HOST", self.host.to_string()),
            ("PORT", self.port.to_string()),
            (
                "DATABASE_MAX_CONNECTIONS",
                self.database_max_connections.to_string(),
            ),
            (
                "DATABASE_CONNECT_TIMEOUT_MS",
                millis(self.database_connect_timeout),
            ),
            (
                "DATABASE_WAIT_TIMEOUT_MS",
                millis(self.database_wait_timeout),
            ),
            (
                "DATABASE_STATEMENT_TIMEOUT_MS",
                millis(self.database_statement_timeout),
            ),
            (
                "DATABASE_PIPELINE",
                if self.database_pipeline { "on" } else { "off" }.to_owned(),
            ),
            ("DRAIN_TIMEOUT_MS", millis(self.drain_timeout)),
            ("APP_START_TIMEOUT_MS", millis(self.app_start_timeout)),
            (
                "HTTP_MAX_CONNECTIONS",
                self.http_max_connections.to_string(),
            ),
            ("HTTP_HEADER_TIMEOUT_MS", millis(self.http_header_timeout)),
        ]
        .map(|(name, value)| Entry {
            name,
            value,
            source: self
                .sources
                .get(name)
                .map_or_else(|| "default".to_owned(), Clone::clone),
        })
        .into()
    }
}

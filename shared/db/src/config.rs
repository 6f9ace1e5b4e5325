//! The settings of a connection, and how it is named.

use std::{fmt, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::runtime::Handle;
use tokio_postgres::error::SqlState;

use super::{
    relay::Relay,
    url::{DatabaseUrl, add_options},
};

/// What a pool is made of.
#[derive(Clone, Debug)]
pub struct DbConfig {
    /// The server.
    pub url: DatabaseUrl,
    /// `application_name` in `pg_stat_activity`: unique per boot, so that counting by it counts this process.
    pub application_name: String,
    /// Never more connections than this.
    pub max_connections: usize,
    /// Limit for opening one, at each address.
    pub connect_timeout: Duration,
    /// Limit for waiting while others use it.
    pub wait_timeout: Duration,
    /// Server-side limit of one statement; zero is none.
    pub statement_timeout: Duration,
    /// Whether statements of different requests share the connection. Behind a pooler each needs a transaction.
    pub pipeline: bool,
    /// The runtime whose reactor the sockets belong to, and which ends them.
    pub runtime: Handle,
    /// Called when PostgreSQL refuses a connection because it has too many.
    pub on_refusal: OnRefusal,
    /// Shares the connection of a [`Db`](crate::Db) with others; by default nobody.
    pub relay: Option<Arc<dyn Relay>>,
}

/// PostgreSQL had no slot for a connection: SQLSTATE 53300, whatever the words.
#[derive(Clone, Debug, Serialize)]
pub struct Refusal {
    /// The code.
    pub sqlstate: String,
    /// PostgreSQL's message: it depends on the role and on which limit was reached.
    pub message: String,
    /// The `application_name` that was refused.
    pub application_name: String,
}

/// What to do about a [`Refusal`]; by default nothing, since the caller gets the error anyway.
#[derive(Clone, Default)]
pub struct OnRefusal(Option<Arc<dyn Fn(Refusal) + Send + Sync>>);

impl OnRefusal {
    /// Calls `tell` for each refusal, on the runtime that opens connections.
    #[must_use]
    pub fn new(report: impl Fn(Refusal) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(report)))
    }

    pub(super) fn report(&self, error: &tokio_postgres::Error, application_name: Option<&str>) {
        if let (Some(report), Some(db)) = (&self.0, error.as_db_error())
            && *db.code() == SqlState::TOO_MANY_CONNECTIONS
        {
            report(Refusal {
                sqlstate: db.code().code().to_owned(),
                message: db.message().to_owned(),
                application_name: application_name.unwrap_or_default().to_owned(),
            });
        }
    }
}

impl fmt::Debug for OnRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnRefusal").field(&self.0.is_some()).finish()
    }
}

impl DbConfig {
    /// One connection to `url` on the current runtime, with the limits that `shared::env` has by default.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use shared_db::{DatabaseUrl, Db, DbConfig};
    ///
    /// let url = DatabaseUrl::parse("postgres://me:secret@localhost/app")?;
    /// let db = Db::new(&DbConfig {
    ///     statement_timeout: Duration::from_secs(5),
    ///     ..DbConfig::new(url, "report".to_owned())
    /// }); // nothing is opened before the first statement
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(url: DatabaseUrl, application_name: String) -> Self {
        Self {
            url,
            application_name,
            max_connections: 1,
            connect_timeout: Duration::from_secs(5),
            wait_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            pipeline: true,
            runtime: Handle::current(),
            on_refusal: OnRefusal::default(),
            relay: None,
        }
    }

    /// The connection settings as PostgreSQL gets them.
    #[must_use]
    pub fn connection(&self) -> tokio_postgres::Config {
        let mut config = self.url.config().clone();
        config
            .application_name(&self.application_name)
            .connect_timeout(self.connect_timeout);
        if !self.pipeline {
            return config; // a pooler refuses startup options that it does not know
        }
        // As startup options and not as SET, so that RESET ALL returns to them.
        // client_connection_check_interval (PostgreSQL 14): a backend whose client is gone ends instead of running on.
        let options = format!(
            "-c client_connection_check_interval=500 -c idle_in_transaction_session_timeout=30000 -c statement_timeout={}",
            self.statement_timeout.as_millis()
        );
        add_options(&mut config, &options);
        config
    }
}

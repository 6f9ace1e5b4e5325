//! Makes the pool: deadpool, lazy, one connection unless told otherwise.
//!
//! Owns the settings of a connection, and how it is named.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI32, AtomicU64},
    },
    time::Duration,
};

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use serde::Serialize;
use tokio::{runtime::Handle, sync::watch};
use tokio_postgres::error::SqlState;

use super::{
    address::addresses,
    attempt::Reach,
    holder::{Holder, Loss},
    opener::Opener,
    pooler::MissedTypes,
    relay::Relay,
    silence::Silence,
    tap::Valve,
    url::{DatabaseUrl, add_options},
    usage::UsageTracker,
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

/// Our own counts, shown beside PostgreSQL's and never instead of them.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) opened: AtomicU64,
    pub(super) backend_pid: AtomicI32,
    pub(super) usage: Arc<UsageTracker>,
    pub(super) missed_types: Arc<MissedTypes>,
    pub(super) reach: watch::Sender<Reach>,
    pub(super) silence: Arc<Silence>,
    /// Of the connection that the relay has, or had last.
    valve: Mutex<Option<Valve>>,
}

impl Counts {
    pub(super) fn valve(&self) -> MutexGuard<'_, Option<Valve>> {
        self.valve.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pool's state.
#[derive(Clone, Debug, Serialize)]
pub struct DbStatus {
    /// Limit of connections.
    pub max: usize,
    /// Connections that exist.
    pub size: usize,
    /// Connections opened since the pool was made.
    pub opened_total: u64,
    /// Backend of the connection opened last; `None` before the first.
    pub backend_pid: Option<i32>,
    /// How many wait for the connection now.
    pub waiting: usize,
    /// The longest wait so far.
    pub longest_wait_ms: u64,
    /// Its current users, oldest first, at most a few.
    pub holders: Vec<Holder>,
    /// Connections that ended by themselves and were reopened, by reason.
    pub reconnects: Vec<Loss>,
}

/// A pool of at most `max_connections`, all of them to the server itself. Opens nothing yet.
#[must_use]
pub fn create_pool(config: &DbConfig) -> Pool {
    counted_pool(config, config.max_connections, None, &Arc::default())
}

pub(super) fn counted_pool(
    config: &DbConfig,
    max_connections: usize,
    relay: Option<Arc<dyn Relay>>,
    counts: &Arc<Counts>,
) -> Pool {
    let opener = Opener::new(config, relay, counts.clone());
    // Fast: a health query on each checkout would cost a round trip; a dead connection is noticed by its socket.
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let connection = config.connection();
    // Each address has the full limit, and the setup queries on the connection get one more.
    let tries = u32::try_from(addresses(&connection).len()).unwrap_or(u32::MAX);
    let create_timeout = config
        .connect_timeout
        .saturating_mul(tries.saturating_add(1));
    let manager = Manager::from_connect(connection, opener, recycling);
    Pool::builder(manager)
        .max_size(max_connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(config.wait_timeout))
        .create_timeout(Some(create_timeout))
        .build()
        .expect("a runtime is given, the only thing the builder checks")
}

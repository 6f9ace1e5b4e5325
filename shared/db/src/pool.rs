//! Makes the pool: deadpool, lazy, one connection unless told otherwise.
//!
//! Owns how a connection is opened and named. A socket belongs to the reactor it was opened on, and the first query
//! may come from any generation, so connections are opened on the runtime given here: that of the process.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use deadpool_postgres::{Connect, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::{runtime::Handle, sync::watch, task::JoinHandle};
use tokio_postgres::{Client, SimpleQueryMessage, error::SqlState};
use tokio_util::task::AbortOnDropHandle;

use super::{
    address::addresses,
    attempt::Reach,
    connect::{self, FailedAttempts},
    holder::{Holder, Loss},
    pooler::{MissedTypes, load_types},
    silence::Silence,
    tls::Tls,
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

    fn report(&self, error: &tokio_postgres::Error, application_name: Option<&str>) {
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

/// A pool of at most `max_connections`. Opens nothing yet.
#[must_use]
pub fn create_pool(config: &DbConfig) -> Pool {
    counted_pool(config, &Arc::default())
}

pub(super) fn counted_pool(config: &DbConfig, counts: &Arc<Counts>) -> Pool {
    let opener = Opener {
        runtime: config.runtime.clone(),
        tls: config.url.tls().clone(),
        on_refusal: config.on_refusal.clone(),
        counts: counts.clone(),
        behind_a_pooler: !config.pipeline,
    };
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
        .max_size(config.max_connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(config.wait_timeout))
        .create_timeout(Some(create_timeout))
        .build()
        .expect("a runtime is given, the only thing the builder checks")
}

/// Opens connections on the given runtime.
struct Opener {
    runtime: Handle,
    tls: Tls,
    on_refusal: OnRefusal,
    /// Records how connections are opened and lost.
    counts: Arc<Counts>,
    behind_a_pooler: bool,
}

impl Connect for Opener {
    fn connect(
        &self,
        config: &tokio_postgres::Config,
    ) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        // Aborted with the caller: a request that is dropped while it connects must not leave a backend half open.
        let name = config.get_application_name().map(str::to_owned);
        let opening = open(
            config.clone(),
            self.tls.clone(),
            self.counts.clone(),
            self.behind_a_pooler,
        );
        let opening = AbortOnDropHandle::new(self.runtime.spawn(opening));
        Box::pin(async move {
            match opening.await {
                Ok(Err(tried)) => {
                    for error in tried.errors() {
                        self.on_refusal.report(error, name.as_deref());
                    }
                    Err(tried.into_pg_error().await)
                }
                Ok(Ok(opened)) => Ok(opened),
                // The process's runtime is ending, and this caller with it; `create_timeout` bounds the wait.
                Err(_) => std::future::pending().await,
            }
        })
    }
}

async fn open(
    config: tokio_postgres::Config,
    tls: Tls,
    counts: Arc<Counts>,
    behind_a_pooler: bool,
) -> Result<(Client, JoinHandle<()>), FailedAttempts> {
    let (client, mut connection) = connect::open(&config, &tls).await?;
    let counted = counts.clone();
    let driver = tokio::spawn(async move {
        if let Err(error) = (&mut connection).await {
            let reason = counted.usage.record_loss(super::describe(&error));
            tracing::warn!(
                "the database connection ended: {reason}; the next statement opens another"
            );
            counted.reach.send_replace(Reach::Lost);
        }
        // Clients notice the end only now, so that `Lost` cannot overwrite the result of the next attempt.
        drop(connection);
    });
    let missed_types = behind_a_pooler.then_some(&*counts.missed_types);
    let prepared = prepare_connection(&client, missed_types).await;
    let pid = prepared.map_err(|error| FailedAttempts::during_setup(&config, error))?;
    counts.backend_pid.store(pid.unwrap_or_default(), Relaxed);
    counts.opened.fetch_add(1, Relaxed);
    Ok((client, driver))
}

/// Queries a new connection needs before its first use: loads types behind a pooler, and returns the backend's PID.
async fn prepare_connection(
    client: &Client,
    missed_types: Option<&MissedTypes>,
) -> Result<Option<i32>, tokio_postgres::Error> {
    if let Some(missed_types) = missed_types {
        load_types(client, missed_types).await?;
    }
    // In one message: behind a pooler a second one may reach another backend.
    let answer = client.simple_query("SELECT pg_backend_pid()").await?;
    Ok(answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    }))
}

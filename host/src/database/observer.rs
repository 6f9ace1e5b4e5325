//! Counts the application's backends in `pg_stat_activity`, and never relies on our own counts.
//!
//! Normally over the shared connection, which then counts itself. In the leak modes over its own connection, opened
//! before the app's and under another name, so that it is not counted and still works when the app is refused.

use std::time::Duration;

use serde::Serialize;
use shared::{
    BoxError, Db,
    db::{DbConfig, DbStatus, connect, describe},
    request::Request,
};
use tokio::{sync::Mutex, time::timeout};
use tokio_postgres::{Client, Row, types::ToSql};

/// Time limit for counting, for example while a transaction or a checkout holds the connection.
const LIMIT: Duration = Duration::from_millis(500);

/// `$1`: the host's application_name; pools of the app add `:gen-N`. A parallel worker shares the name of its leader
/// and is no client backend.
pub(crate) const CENSUS: &str = "\
SELECT coalesce(array_agg(pid ORDER BY backend_start), '{}') AS pids,
       (SELECT sessions FROM pg_stat_database WHERE datname = current_database()) AS sessions,
       current_setting('max_connections')::int AS max_connections,
       current_setting('superuser_reserved_connections')::int AS reserved
FROM pg_stat_activity
WHERE backend_type = 'client backend'
  AND (application_name = $1 OR application_name LIKE $1 || ':gen-%')";

/// All backends connected to this database, ours or not.
const ACTIVITY: &str = "\
SELECT pid, coalesce(application_name, '') AS application_name, state,
       extract(epoch FROM clock_timestamp() - backend_start)::float8 AS age_s,
       left(query, 200) AS query,
       application_name = $1 OR application_name LIKE $1 || ':gen-%' AS ours
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
ORDER BY backend_start";

/// One row of `pg_stat_activity`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Backend {
    pid: i32,
    application_name: String,
    state: Option<String>,
    age_s: f64,
    /// The first 200 characters.
    query: String,
    /// Whether it belongs to the application, as in [`CENSUS`].
    ours: bool,
}

/// One count.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Census {
    /// Client backends of the application.
    pub(crate) backends: usize,
    /// Oldest first.
    pub(crate) pids: Vec<i32>,
    /// Sessions this database has ever had: reveals those that came and went between two counts.
    pub(crate) sessions: Option<i64>,
    /// How many connections the application can have: `max_connections` minus those reserved for superusers and the
    /// observer's own.
    pub(crate) usable: Option<i32>,
}

/// Counts backends.
pub(crate) struct Observer {
    /// The host's application_name.
    name: String,
    via: Via,
}

enum Via {
    Shared(Db),
    /// Lost when the server restarts, and then reopened.
    Dedicated(Box<DbConfig>, Mutex<Option<Client>>),
}

impl Observer {
    /// Counts over the application's shared connection. Never opens it: while it is closed there is nothing to count.
    pub(crate) fn shared(name: String, db: Db) -> Self {
        Self {
            name,
            via: Via::Shared(db),
        }
    }

    /// Counts over its own connection, opened by the first count.
    pub(crate) fn dedicated(name: String, mut config: DbConfig) -> Self {
        config.application_name = format!("{name}:observer");
        Self {
            name,
            via: Via::Dedicated(Box::new(config), Mutex::default()),
        }
    }

    /// Whether it uses a slot that the application cannot have then.
    pub(crate) fn is_dedicated(&self) -> bool {
        matches!(self.via, Via::Dedicated(..))
    }

    /// Counts now; `None` if PostgreSQL does not answer in half a second.
    pub(crate) async fn count(&self) -> Option<Census> {
        match timeout(LIMIT, self.ask()).await {
            Ok(Ok(census)) => Some(census),
            Ok(Err(error)) => {
                tracing::debug!("counting backends: {error}");
                None
            }
            Err(_) => None,
        }
    }

    /// All backends of the database; `None` if PostgreSQL does not answer in half a second.
    pub(crate) async fn activity(&self) -> Option<Vec<Backend>> {
        match timeout(LIMIT, self.query(ACTIVITY, &[&self.name])).await {
            Ok(Ok(rows)) => rows.iter().map(backend).collect::<Result<_, _>>().ok(),
            Ok(Err(error)) => {
                tracing::debug!("listing backends: {error}");
                None
            }
            Err(_) => None,
        }
    }

    async fn ask(&self) -> Result<Census, BoxError> {
        match self.query(CENSUS, &[&self.name]).await?.first() {
            Some(row) => self.census(row),
            None => Ok(Census::default()),
        }
    }

    /// No rows while the connection is closed: observing must not open it.
    async fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, BoxError> {
        match &self.via {
            Via::Shared(db) if db.status().size == 0 => Ok(Vec::new()),
            // Nor must it make others wait longer, or be recorded as the longest wait.
            Via::Shared(db) if is_held(&db.status()) => {
                Err("a transaction or a checkout has the connection".into())
            }
            Via::Shared(db) => {
                let counting = Request::of_the_host("counting backends");
                Ok(counting.scope(db.query(sql, params)).await?)
            }
            Via::Dedicated(config, client) => {
                let mut client = client.lock().await;
                if client.as_ref().is_none_or(Client::is_closed) {
                    *client = Some(open(config).await?);
                }
                let client = client.as_ref().ok_or("opened above")?;
                Ok(client.query(sql, params).await?)
            }
        }
    }

    fn census(&self, row: &Row) -> Result<Census, BoxError> {
        let pids: Vec<i32> = row.try_get("pids")?;
        let slots =
            row.try_get::<_, i32>("max_connections")? - row.try_get::<_, i32>("reserved")?;
        let usable = Some(slots - i32::from(self.is_dedicated()));
        Ok(Census {
            backends: pids.len(),
            pids,
            sessions: row.try_get("sessions")?,
            usable,
        })
    }
}

async fn open(config: &DbConfig) -> Result<Client, BoxError> {
    let (client, connection) = connect(config).await?;
    // Ends with the client, which ends with the observer.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("the observer's connection ended: {}", describe(&error));
        }
    });
    Ok(client)
}

/// With several connections, exclusive use of one does not block the shared one.
fn is_held(pool: &DbStatus) -> bool {
    pool.max == 1 && pool.holders.iter().any(|holder| holder.alone)
}

fn backend(row: &Row) -> Result<Backend, tokio_postgres::Error> {
    Ok(Backend {
        pid: row.try_get("pid")?,
        application_name: row.try_get("application_name")?,
        state: row.try_get("state")?,
        age_s: row.try_get("age_s")?,
        query: row.try_get::<_, Option<_>>("query")?.unwrap_or_default(),
        ours: row.try_get::<_, Option<_>>("ours")?.unwrap_or_default(),
    })
}

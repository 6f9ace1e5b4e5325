//! The database this checkout develops on: the one in `DATABASE_URL`, or the private cluster.

use std::time::Duration;

use shared::{
    BoxError,
    db::{DatabaseUrl, DbConfig, connect, describe},
    env::Env,
};
use tokio_postgres::Client;

use super::{
    project::{Lock, Project},
    terminal,
};
use crate::{
    migrate,
    postgres::{Cluster, url_of},
};

/// A role for the app that may read and write every table, and is no superuser.
const PLAIN_ROLE: &str = "app";
const MAKE_PLAIN_ROLE: &str = "
    DO $$ BEGIN CREATE ROLE app LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
    GRANT pg_read_all_data, pg_write_all_data TO app";

/// How often, and after what pause, a cluster that has crashed is started again.
const REVIVALS: usize = 10;
const REVIVAL_PAUSE: Duration = Duration::from_millis(300);

/// Where the data is, and the server if it is ours.
pub(crate) struct Database {
    url: DatabaseUrl,
    /// Stopped when this is dropped.
    cluster: Option<Cluster>,
    /// Of a short command: released after the cluster has stopped, so that no host takes it for an orphan's.
    _lock: Option<Lock>,
}

impl Database {
    /// Starts the private cluster unless `DATABASE_URL` names a server. From the main thread, as `Cluster::start`.
    pub(crate) fn find_or_start(
        project: &Project,
        env: &Env,
        max_connections: Option<u16>,
    ) -> Result<Self, BoxError> {
        if let Some(url) = &env.database_url {
            return Ok(Self {
                url: url.clone(),
                cluster: None,
                _lock: None,
            });
        }
        let cluster = Cluster::start(project.root(), max_connections)?;
        Ok(Self {
            url: cluster.url(),
            cluster: Some(cluster),
            _lock: None,
        })
    }

    /// The same for a short command: beside a running host it uses the cluster of that host.
    pub(super) fn find_or_borrow(project: &Project, env: &Env) -> Result<Self, BoxError> {
        match (&env.database_url, project.running()) {
            (None, Ok(_)) => Ok(Self {
                url: url_of(project.root())?,
                cluster: None,
                _lock: None,
            }),
            (None, Err(_)) => {
                let lock = project.lock()?;
                Ok(Self {
                    _lock: Some(lock),
                    ..Self::find_or_start(project, env, None)?
                })
            }
            (Some(_), _) => Self::find_or_start(project, env, None),
        }
    }

    pub(crate) fn url(&self) -> DatabaseUrl {
        self.url.clone()
    }

    /// Whether the server was started by this process, which then stops it.
    pub(super) fn is_ours(&self) -> bool {
        self.cluster.is_some()
    }

    /// The same database for a role that is no superuser, as an application's is: PostgreSQL keeps its last slots for
    /// superusers. A role of the private cluster, made here; a given URL decides for itself.
    pub(crate) async fn url_of_a_plain_role(&self, env: &Env) -> Result<DatabaseUrl, BoxError> {
        let Some(cluster) = &self.cluster else {
            return Ok(self.url());
        };
        on_connection(&self.url, env, async |client| {
            Ok(client
                .batch_execute(MAKE_PLAIN_ROLE)
                .await
                .map_err(|error| describe(&error))?)
        })
        .await?;
        Ok(cluster.url_for(PLAIN_ROLE))
    }

    /// For the banner.
    pub(crate) fn describe(&self) -> String {
        match &self.cluster {
            Some(cluster) => format!(
                "{} · private cluster in .dev/postgres · open it with `just psql`",
                cluster.version()
            ),
            None => format!("{} (DATABASE_URL)", self.url),
        }
    }

    /// Where `env` points to now, migrated if `apply`. Nothing here has moved yet.
    pub(crate) async fn prepare(
        &mut self,
        project: &Project,
        env: &Env,
        apply: bool,
    ) -> Result<DatabaseUrl, BoxError> {
        let url = match (&env.database_url, &self.cluster) {
            (Some(url), _) => url.clone(),
            (None, Some(cluster)) => cluster.url(),
            (None, None) => self
                .cluster
                .insert(Cluster::start(project.root(), None)?)
                .url(),
        };
        migrate_at(&url, project, env, apply).await?;
        Ok(url)
    }

    /// The pool draws on `url` now. A private cluster that ran before stays until the host ends: `.env` may come back.
    pub(crate) fn moved_to(&mut self, url: DatabaseUrl) {
        self.url = url;
    }

    /// Applies what is pending, on a connection that is closed again: the pool stays unopened until the first query.
    /// Returns how many that were.
    pub(crate) async fn migrate(&self, project: &Project, env: &Env) -> Result<usize, BoxError> {
        migrate_at(&self.url, project, env, true).await
    }

    /// Brings the private cluster back if it has ended by itself. The pool reconnects with the next query.
    pub(crate) async fn revive(&mut self) {
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        for _ in 0..REVIVALS {
            match cluster.revive() {
                Ok(false) => return,
                Ok(true) => {
                    terminal::line(format_args!(
                        "PostgreSQL stopped unexpectedly and was restarted"
                    ));
                    return;
                }
                // Its children may still be ending, and hold the shared memory until they have.
                Err(error) => {
                    tracing::warn!("PostgreSQL stopped unexpectedly and does not start: {error}")
                }
            }
            tokio::time::sleep(REVIVAL_PAUSE).await;
        }
    }

    /// Leaves the cluster to the next image of this process.
    pub(crate) fn keep_running(self) {
        if let Some(cluster) = self.cluster {
            cluster.keep_running();
        }
    }
}

/// Only of this database: the others are nobody's business here.
const TERMINATE: &str = "\
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = $1 AND datname = current_database() AND backend_type = 'client backend'";

/// Ends a backend of the database, over a connection that cannot stand behind what is to be ended. `false`: there is
/// none with this PID.
pub(super) async fn terminate(url: &DatabaseUrl, env: &Env, pid: i32) -> Result<bool, BoxError> {
    on_connection(url, env, async |client| {
        let ended = client.query(TERMINATE, &[&pid]).await;
        Ok(!ended.map_err(|error| describe(&error))?.is_empty())
    })
    .await
}

async fn migrate_at(
    url: &DatabaseUrl,
    project: &Project,
    env: &Env,
    apply: bool,
) -> Result<usize, BoxError> {
    let migrations = migrate::load(&project.migrations())?;
    let outcome = on_connection(url, env, async |client| {
        Ok(migrate::run(client, &migrations, apply).await)
    })
    .await?;
    for name in &outcome.now {
        terminal::line(format_args!("migrated {name}"));
    }
    outcome
        .failure
        .map_or(Ok(outcome.now.len()), |failure| Err(failure.into()))
}

/// Runs `work` on a connection of its own and waits until that is closed.
pub(super) async fn on_connection<T>(
    url: &DatabaseUrl,
    env: &Env,
    work: impl AsyncFnOnce(&mut Client) -> Result<T, BoxError>,
) -> Result<T, BoxError> {
    let config = DbConfig::new(
        env,
        url.clone(),
        format!("host-migrate:{}", std::process::id()),
    );
    let (mut client, connection) = connect(&config).await?;
    let driver = tokio::spawn(connection);
    let result = work(&mut client).await;
    drop(client);
    // Its errors were the client's errors already.
    drop(driver.await);
    result
}

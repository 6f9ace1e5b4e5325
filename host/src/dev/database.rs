//! The database this checkout develops on: the one in `DATABASE_URL`, or the private cluster.

mod connection;

pub(super) use connection::on_connection;

use shared::{
    BoxError,
    db::{DatabaseUrl, describe},
    env::Env,
};
use tokio_util::sync::CancellationToken;

use super::{
    access::{self, Access},
    project::{Lock, Project},
    terminal,
};
use crate::{
    migrate::{self, RunControl},
    postgres::{Cluster, url_of},
};

/// A role for the app that may read and write every table, and is no superuser.
const PLAIN_ROLE: &str = "app";
const MAKE_PLAIN_ROLE: &str = "
    DO $$ BEGIN CREATE ROLE app LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
    GRANT pg_read_all_data, pg_write_all_data TO app";

/// How often a start may fail before it is worth a word: children of the server before may still be ending, and hold
/// the shared memory until they have.
const PARDONED: u32 = 3;

/// Where the data is, and the server if it is ours.
pub(crate) struct Database {
    url: DatabaseUrl,
    /// Stopped when this is dropped.
    cluster: Option<Cluster>,
    /// How often it could not be started again, since it ended by itself.
    failed_revivals: u32,
    /// Its data has been deleted since it last ran.
    emptied: bool,
    /// Of a short command: released after the cluster has stopped, so that no host takes it for an orphan's.
    _lock: Option<Lock>,
}

impl Database {
    /// The private cluster, unless `DATABASE_URL` names a server. Nothing is started.
    pub(crate) fn find(
        project: &Project,
        env: &Env,
        max_connections: Option<u16>,
    ) -> Result<Self, BoxError> {
        let (url, cluster) = match &env.database_url {
            Some(url) => (url.clone(), None),
            None => {
                let cluster = Cluster::of(project.root(), max_connections)?;
                (cluster.url(), Some(cluster))
            }
        };
        Ok(Self {
            url,
            cluster,
            failed_revivals: 0,
            emptied: false,
            _lock: None,
        })
    }

    /// Starts the private cluster if it is the one. On the main thread, as [`Cluster::start`].
    pub(crate) async fn start(&mut self, access: &Access) -> Result<(), BoxError> {
        if let Some(cluster) = &mut self.cluster {
            access.cluster_is(access::Cluster::Starting);
            let slow = &mut |what| access.cluster_is(access::Cluster::Slow(what));
            cluster.start(slow).await?;
            access.cluster_is(access::Cluster::Ready);
        }
        Ok(())
    }

    /// The same for a short command: beside a running host it uses the cluster of that host.
    pub(super) async fn find_or_borrow(project: &Project, env: &Env) -> Result<Self, BoxError> {
        match (&env.database_url, project.running()) {
            (None, Ok(_)) => Ok(Self {
                url: url_of(project.root())?,
                cluster: None,
                failed_revivals: 0,
                emptied: false,
                _lock: None,
            }),
            (None, Err(_)) => {
                let lock = project.lock()?;
                let mut database = Self {
                    _lock: Some(lock),
                    ..Self::find(project, env, None)?
                };
                if let Some(cluster) = &mut database.cluster {
                    let slow = &mut |what| terminal::line(format_args!("{what} …"));
                    cluster.start(slow).await?;
                }
                Ok(database)
            }
            (Some(_), _) => Self::find(project, env, None),
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
    /// superusers. `None`: a given URL decides for itself.
    pub(crate) fn url_of_a_plain_role(&self) -> Option<DatabaseUrl> {
        let cluster = self.cluster.as_ref()?;
        Some(cluster.url_for(PLAIN_ROLE))
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

    /// Where `env` points to. Starts the private cluster if that is the one; nothing has moved yet.
    pub(crate) async fn place(
        &mut self,
        project: &Project,
        env: &Env,
        access: &Access,
    ) -> Result<DatabaseUrl, BoxError> {
        if let Some(url) = &env.database_url {
            return Ok(url.clone());
        }
        if self.cluster.is_none() {
            self.cluster = Some(Cluster::of(project.root(), None)?);
            if let Err(error) = self.start(access).await {
                // The database in use is another one.
                self.cluster = None;
                access.cluster_is(access::Cluster::Ready);
                return Err(error);
            }
        }
        Ok(self.cluster.as_ref().expect("made above").url())
    }

    /// The pool draws on `url` now. A private cluster that ran before stays until the host ends: `.env` may come back.
    pub(crate) fn moved_to(&mut self, url: DatabaseUrl, access: &Access) {
        self.url = url;
        if !self.is_on_the_cluster() {
            access.cluster_is(access::Cluster::Ready);
        }
    }

    /// Whether the private cluster is what the pool draws on, and not one that it has left.
    fn is_on_the_cluster(&self) -> bool {
        let cluster = self.cluster.as_ref();
        cluster.is_some_and(|cluster| cluster.url() == self.url)
    }

    /// Applies what is pending, on a connection that is closed again: the pool stays unopened until the first query.
    /// Returns how many that were.
    pub(crate) async fn migrate(&self, project: &Project, env: &Env) -> Result<usize, BoxError> {
        migrate_at(&self.url, project, env).await
    }

    /// Whether there is a private cluster that should run and does not.
    pub(crate) fn has_ended(&self) -> bool {
        self.cluster.as_ref().is_some_and(Cluster::has_ended)
    }

    /// Starts the private cluster again if it has ended by itself, or makes it again if its data has been deleted. The
    /// pool connects again with the next query. `true`: the database is empty now.
    pub(crate) async fn revive(&mut self, access: &Access) -> bool {
        let matters = self.is_on_the_cluster();
        let needs_it = |cluster: &&mut Cluster| cluster.has_ended() || cluster.has_lost_data();
        let Some(cluster) = self.cluster.as_mut().filter(needs_it) else {
            return false;
        };
        self.emptied |= cluster.has_lost_data();
        let slow = &mut |what| {
            if matters {
                access.cluster_is(access::Cluster::Slow(what));
            }
        };
        match cluster.revive(slow).await {
            Ok(()) => {
                self.failed_revivals = 0;
                access.cluster_is(access::Cluster::Ready);
                let emptied = std::mem::take(&mut self.emptied);
                terminal::line(match emptied {
                    true => format_args!(
                        "✗ the data of the private PostgreSQL was deleted and is lost; a new, empty cluster runs now"
                    ),
                    false => format_args!("PostgreSQL stopped unexpectedly and was restarted"),
                });
                return emptied;
            }
            Err(error) => {
                self.failed_revivals += 1;
                if matters && self.failed_revivals > PARDONED {
                    access.cluster_is(access::Cluster::Ended(error.to_string()));
                }
            }
        }
        false
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

async fn migrate_at(url: &DatabaseUrl, project: &Project, env: &Env) -> Result<usize, BoxError> {
    let migrations = migrate::load(&project.migrations())?;
    let control = RunControl {
        before_file: &|_| {},
        stop: &CancellationToken::new(),
    };
    let outcome = on_connection(url, env, async |client| {
        Ok(migrate::run(client, &migrations, true, &control).await)
    })
    .await?;
    for name in &outcome.now {
        terminal::line(format_args!("migrated {name}"));
    }
    outcome
        .failure
        .map_or(Ok(outcome.now.len()), |failure| Err(failure.into()))
}

/// Makes the role that an application has in the private cluster.
pub(super) async fn make_plain_role(url: &DatabaseUrl, env: &Env) -> Result<(), BoxError> {
    on_connection(url, env, async |client| {
        let made = client.batch_execute(MAKE_PLAIN_ROLE).await;
        Ok(made.map_err(|error| describe(&error))?)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_was_left_is_nobodys_trouble() {
        let url = |name| DatabaseUrl::socket("/run/postgresql".as_ref(), 5432, "me", name);
        let mut database = Database {
            url: url("before"),
            cluster: None,
            failed_revivals: 4,
            emptied: false,
            _lock: None,
        };
        let access = Access::default();
        access.cluster_is(access::Cluster::Ended("its data is gone".into()));
        database.moved_to(url("after"), &access);
        assert!(!access.state().borrow().is_broken());
    }
}

//! The database this checkout develops on: the one in `DATABASE_URL`, or the private cluster.

use shared::{
    BoxError,
    db::{DatabaseUrl, describe},
    env::Env,
};
use shared_cluster::{Cluster, USER};

use super::{
    access::{Access, ClusterState},
    endpoint::{Endpoint, refuse_own},
    on_connection, private,
    seeds::set_due,
};
use crate::{
    config::{Lock, Mode, Project},
    events::{Event, Events},
};

/// A role for the app that may read and write every table, and is no superuser.
const PLAIN_ROLE: &str = "app";
const MAKE_PLAIN_ROLE: &str = "
    DO $$ BEGIN CREATE ROLE app LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
    GRANT pg_read_all_data, pg_write_all_data TO app";

/// What each use of the app's `db` fails with where there is no database.
const ABSENT: &str = "this project runs without a database: HOST_DATABASE is none; with one: cargo dev --database postgres";

/// How many failed restarts are not reported: child processes of the old server may still be ending, and hold its
/// shared memory until then.
const UNREPORTED_FAILURES: u32 = 3;

/// The URL of the database, and the private cluster if that is the one.
pub(crate) struct Database {
    url: DatabaseUrl,
    /// Stopped when this is dropped.
    cluster: Option<Cluster>,
    /// Failed restarts in a row since the cluster ended by itself.
    failed_revivals: u32,
    /// Its data has been deleted since it last ran.
    data_lost: bool,
    /// Held by short commands and released after the cluster has stopped, so that a new host does not mistake it for an
    /// orphan.
    _lock: Option<Lock>,
}

impl Database {
    fn new(url: DatabaseUrl, cluster: Option<Cluster>) -> Self {
        Self {
            url,
            cluster,
            failed_revivals: 0,
            data_lost: false,
            _lock: None,
        }
    }

    /// For a project without one.
    pub(crate) fn absent() -> Self {
        Self::new(DatabaseUrl::absent(ABSENT), None)
    }

    /// The private cluster, unless `DATABASE_URL` names a server. Nothing is started.
    pub(crate) fn find(
        project: &Project,
        env: &Env,
        max_connections: Option<u16>,
    ) -> Result<Self, BoxError> {
        Ok(match &env.database_url {
            Some(url) => {
                refuse_own(url, project.root())?;
                Self::new(url.clone(), None)
            }
            None => {
                let cluster = Cluster::of(private::place(project.root(), max_connections))?;
                Self::new(cluster.url(), Some(cluster))
            }
        })
    }

    /// Starts the private cluster, if it is used. Must be called on the main thread, like [`Cluster::start`].
    pub(crate) async fn start(
        &mut self,
        project: &Project,
        access: &Access,
    ) -> Result<(), BoxError> {
        if let Some(cluster) = &mut self.cluster {
            access.set_cluster(ClusterState::Starting);
            let slow = &mut |what| access.set_cluster(ClusterState::Slow(what));
            start_cluster(cluster, project, slow).await?;
            access.set_cluster(ClusterState::Ready);
        }
        Ok(())
    }

    /// The database at `url`, which another process runs.
    pub(super) fn borrowed(url: DatabaseUrl) -> Self {
        Self::new(url, None)
    }

    /// Starts the private cluster, if it is used, for a short command that holds the project's lock.
    pub(super) async fn started_with(
        mut self,
        project: &Project,
        lock: Lock,
        slow: &mut dyn FnMut(String),
    ) -> Result<Self, BoxError> {
        self._lock = Some(lock);
        if let Some(cluster) = &mut self.cluster {
            start_cluster(cluster, project, slow).await?;
        }
        Ok(self)
    }

    pub(crate) fn url(&self) -> DatabaseUrl {
        self.url.clone()
    }

    /// Whether this process started the server, and so stops it.
    pub(crate) fn is_ours(&self) -> bool {
        self.cluster.is_some()
    }

    /// The private cluster as a role without superuser rights, like an application in production: PostgreSQL reserves
    /// its last slots for superusers. `None` with `DATABASE_URL`, which names its own role.
    pub(crate) fn url_of_a_plain_role(&self) -> Option<DatabaseUrl> {
        let cluster = self.cluster.as_ref()?;
        Some(cluster.url_for(PLAIN_ROLE))
    }

    /// `DATABASE_URL` for the app. `None`: it is as the user has set it.
    pub(crate) fn app_url(&self, mode: Mode, endpoint: Option<&Endpoint>) -> Option<String> {
        if let Some(endpoint) = endpoint {
            return Some(endpoint.url_text());
        }
        let cluster = self.cluster.as_ref().filter(|_| self.uses_cluster())?;
        Some(match mode.is_demonstration() {
            true => cluster.url_text(PLAIN_ROLE),
            false => cluster.url_text(USER),
        })
    }

    /// One line for the banner.
    pub(crate) fn describe(&self) -> String {
        match &self.cluster {
            Some(cluster) => format!(
                "{} · private cluster in .dev/postgres · open it with `cargo host psql`",
                cluster.version()
            ),
            None if self.url.absence().is_some() => "none (HOST_DATABASE)".to_owned(),
            None => format!("{} (DATABASE_URL)", self.url),
        }
    }

    /// The URL that `env` selects. Starts the private cluster if that is selected; the pool has not moved yet.
    pub(crate) async fn select(
        &mut self,
        project: &Project,
        env: &Env,
        access: &Access,
    ) -> Result<DatabaseUrl, BoxError> {
        if let Some(url) = &env.database_url {
            refuse_own(url, project.root())?;
            return Ok(url.clone());
        }
        if self.cluster.is_none() {
            self.cluster = Some(Cluster::of(private::place(project.root(), None))?);
            if let Err(error) = self.start(project, access).await {
                // The database in use is unaffected.
                self.cluster = None;
                access.set_cluster(ClusterState::Ready);
                return Err(error);
            }
        }
        Ok(self.cluster.as_ref().expect("made above").url())
    }

    /// The pool uses `url` now. A private cluster keeps running until the host ends: the user may revert `.env`.
    pub(crate) fn set_url(&mut self, url: DatabaseUrl, access: &Access) {
        self.url = url;
        if !self.uses_cluster() {
            access.set_cluster(ClusterState::Ready);
        }
    }

    /// Whether the pool uses the private cluster. `.env` may have moved it to another server.
    fn uses_cluster(&self) -> bool {
        let cluster = self.cluster.as_ref();
        cluster.is_some_and(|cluster| cluster.url() == self.url)
    }

    /// Whether the private cluster should be running but is not.
    pub(crate) fn has_ended(&self) -> bool {
        self.cluster.as_ref().is_some_and(Cluster::has_ended)
    }

    /// Restarts the private cluster if it has ended by itself, or creates it again if its data was deleted. The pool
    /// reconnects with the next query. `true`: the database is empty now.
    pub(crate) async fn revive(
        &mut self,
        project: &Project,
        access: &Access,
        events: &Events,
    ) -> bool {
        let in_use = self.uses_cluster();
        let needs_it = |cluster: &&mut Cluster| cluster.has_ended() || cluster.has_lost_data();
        let Some(cluster) = self.cluster.as_mut().filter(needs_it) else {
            return false;
        };
        if cluster.has_lost_data() {
            self.data_lost = true;
            if let Err(error) = set_due(project) {
                tracing::warn!("the new database will not be seeded: {error}");
            }
        }
        let slow = &mut |what| {
            if in_use {
                access.set_cluster(ClusterState::Slow(what));
            }
        };
        match cluster.revive(slow).await {
            Ok(()) => {
                self.failed_revivals = 0;
                access.set_cluster(ClusterState::Ready);
                let data_lost = std::mem::take(&mut self.data_lost);
                events.emit(Event::ClusterRestarted { data_lost });
                return data_lost;
            }
            Err(error) => {
                self.failed_revivals += 1;
                if in_use && self.failed_revivals > UNREPORTED_FAILURES {
                    access.set_cluster(ClusterState::Ended(error.to_string()));
                }
            }
        }
        false
    }

    /// Leaves the cluster running for the next image of this process.
    pub(crate) fn keep_running(self) {
        if let Some(cluster) = self.cluster {
            cluster.keep_running();
        }
    }
}

/// Makes it first, if there is none yet; then its seeds are due.
async fn start_cluster(
    cluster: &mut Cluster,
    project: &Project,
    slow: &mut dyn FnMut(String),
) -> Result<(), BoxError> {
    if cluster.has_lost_data() {
        set_due(project)?;
    }
    Ok(cluster.start(slow).await?)
}

/// Creates the role that the app uses in the private cluster.
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
    fn an_unused_cluster_does_not_affect_health() {
        let url = |name| DatabaseUrl::socket("/run/postgresql".as_ref(), 5432, "me", name);
        let mut database = Database {
            failed_revivals: 4,
            ..Database::new(url("before"), None)
        };
        let access = Access::default();
        access.set_cluster(ClusterState::Ended("its data is gone".into()));
        database.set_url(url("after"), &access);
        assert!(!access.state().borrow().is_broken());
    }
}

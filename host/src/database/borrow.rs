//! The database for a short command: the private cluster of the process that runs it now, or one that the command
//! starts itself.

use std::time::Duration;

use shared::{BoxError, db::DatabaseUrl, env::Env};
use shared_cluster::Cluster;
use shared_migrate::{self as migrate, RunControl, Style};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    copies::{Copies, among, report_switch},
    development::Database,
    on_watched_connection, private,
    schema::plant,
    temporary::on_connection,
};
use crate::{
    config::{Lock, Project},
    events::{Event, Events},
};

/// Another short command stops its cluster at its end, so that one which ends soon is waited for. After that the
/// cluster is shared: it is an open psql's.
const SHARE_AFTER: Duration = Duration::from_secs(2);

/// A host that starts may have to create the cluster first.
const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

impl Database {
    /// Uses the cluster of a running host or of another command, or starts it.
    pub(crate) async fn find_or_borrow(
        project: &Project,
        env: &Env,
        events: &Events,
    ) -> Result<Self, BoxError> {
        if env.database_url.is_some() {
            return Self::find(project, env, None);
        }
        let url = Cluster::url_at(&private::place(project.root(), None))?;
        if project.running().is_ok() {
            return Ok(Self::borrowed(url));
        }
        let Some(lock) = lock(project, env, &url).await? else {
            return Ok(Self::borrowed(url));
        };
        let slow = &mut |what| events.emit(Event::DatabaseSlow { what });
        let database = Self::find(project, env, None)?;
        let database = database.started_with(lock, slow).await?;
        database.follow_branch(project, env, events).await?;
        Ok(database)
    }

    /// Applies pending migrations on a temporary connection, so that the pool stays unopened until the first query.
    pub(crate) async fn migrate(
        &self,
        project: &Project,
        env: &Env,
        events: &Events,
    ) -> Result<(), BoxError> {
        let files = migrate::load(&project.migration_source())?;
        let control = RunControl {
            before_file: &|_| {},
            stop: &CancellationToken::new(),
        };
        let outcome =
            on_watched_connection(&self.url(), env, (events, files.style), async |client| {
                Ok(migrate::run(client, &files, true, &control).await)
            })
            .await?;
        for migration in outcome.now {
            events.emit(Event::Migrated { migration });
        }
        outcome
            .failure
            .map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// Fills the database, which is empty but for its tables.
    pub(crate) async fn seed(
        &self,
        project: &Project,
        env: &Env,
        events: &Events,
    ) -> Result<(), BoxError> {
        on_watched_connection(
            &self.url(),
            env,
            (events, Style::default()),
            async |client| Ok(plant(project, client, events).await?),
        )
        .await
    }

    /// Copies and renames databases beside this one, while no host uses it.
    pub(crate) async fn among<T>(
        &self,
        env: &Env,
        work: impl AsyncFnOnce(Copies<'_>) -> Result<T, BoxError>,
    ) -> Result<T, BoxError> {
        among(&self.url(), env, work).await
    }

    /// Brings the database of the branch that is checked out into use.
    async fn follow_branch(
        &self,
        project: &Project,
        env: &Env,
        events: &Events,
    ) -> Result<(), BoxError> {
        let branch = match project.repository() {
            Some(repository) => repository.branch()?,
            None => None,
        };
        if let Some(branch) = branch {
            let since = std::time::Instant::now();
            let switched = self
                .among(env, async |copies| copies.use_branch(&branch).await)
                .await?;
            report_switch(branch, switched, since.elapsed(), events);
        }
        Ok(())
    }
}

/// `None`: another process has the lock and runs the cluster.
async fn lock(project: &Project, env: &Env, url: &DatabaseUrl) -> Result<Option<Lock>, BoxError> {
    let since = Instant::now();
    loop {
        let error = match project.lock() {
            Ok(lock) => return Ok(Some(lock)),
            Err(error) => error,
        };
        let waited = since.elapsed();
        if waited >= SHARE_AFTER && on_connection(url, env, async |_| Ok(())).await.is_ok() {
            return Ok(None);
        }
        if waited >= LIMIT {
            return Err(error.into());
        }
        sleep(PAUSE).await;
    }
}

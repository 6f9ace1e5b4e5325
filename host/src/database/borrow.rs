//! The database for a short command: the private cluster of the process that runs it now, or one that the command
//! starts itself.

use std::time::Duration;

use shared::{BoxError, db::DatabaseUrl, env::Env};
use shared_cluster::Cluster;
use shared_migrate::{self as migrate, RunControl, Style};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    copies::{Copies, report_switch, with_copies},
    development::Database,
    on_watched_connection, private,
    seeds::{are_due, run_seeds},
    temporary::on_connection,
};
use crate::{
    config::{Lock, Project, Repository, RepositoryError},
    events::{Event, Events},
};

/// Another short command stops its cluster at its end, so that one which ends soon is waited for. After that the
/// cluster is shared: it is an open psql's.
const SHARE_AFTER: Duration = Duration::from_secs(2);

/// A host that starts may have to create the cluster first.
const LIMIT: Duration = Duration::from_secs(30);

/// For the host to follow a checkout.
const SWITCH_LIMIT: Duration = Duration::from_secs(10);
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
        let borrowed = Self::borrowed(url.clone());
        if project.running().is_ok() {
            return borrowed.until_followed(project, env).await;
        }
        let Some(lock) = lock(project, env, &url).await? else {
            return borrowed.until_followed(project, env).await;
        };
        let slow = &mut |what| events.emit(Event::DatabaseSlow { what });
        let database = Self::find(project, env, None)?;
        let database = database.started_with(project, lock, slow).await?;
        database.follow_branch(project, env, events).await
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
        if let Some(failure) = outcome.failure {
            return Err(failure.into());
        }
        match env.database_url.is_none() && are_due(project) {
            true => self.seed(project, env, events).await,
            false => Ok(()),
        }
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
            async |client| Ok(run_seeds(project, client, events).await?),
        )
        .await
    }

    /// Copies and renames databases beside this one, while no host uses it.
    pub(crate) async fn with_copies<T>(
        &self,
        env: &Env,
        work: impl AsyncFnOnce(Copies<'_>) -> Result<T, BoxError>,
    ) -> Result<T, BoxError> {
        with_copies(&self.url(), env, work).await
    }

    /// Brings the database of the branch that is checked out into use. Only while nobody else uses the cluster.
    async fn follow_branch(
        self,
        project: &Project,
        env: &Env,
        events: &Events,
    ) -> Result<Self, BoxError> {
        if let Some(branch) = branch(project)? {
            let since = std::time::Instant::now();
            let switch = async |copies: Copies<'_>| copies.use_branch(&branch).await;
            let switched = self.with_copies(env, switch).await?;
            report_switch(branch, switched, since.elapsed(), events);
        }
        Ok(self)
    }

    /// Waits until the process that runs the cluster has brought that database into use.
    async fn until_followed(self, project: &Project, env: &Env) -> Result<Self, BoxError> {
        let Some(branch) = branch(project)? else {
            return Ok(self);
        };
        let since = Instant::now();
        loop {
            let in_use = self.with_copies(env, async |copies| copies.branch().await);
            let in_use = in_use.await?;
            if in_use.as_ref() == Some(&branch) {
                return Ok(self);
            }
            if since.elapsed() > SWITCH_LIMIT {
                let whose = in_use.map_or("no branch's".to_owned(), |it| format!("branch {it}'s"));
                return Err(format!(
                    "branch {branch} is checked out, and the database in use is {whose}: the dev server has not changed it \
                     yet; or end the psql that keeps the database running, and try again"
                )
                .into());
            }
            sleep(PAUSE).await;
        }
    }
}

/// The branch that is checked out, if branches have a database each.
fn branch(project: &Project) -> Result<Option<String>, RepositoryError> {
    project.repository().map_or(Ok(None), Repository::branch)
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

//! The database for a short command: the private cluster of the process that runs it now, or one that the command
//! starts itself.

use std::time::Duration;

use shared::{BoxError, db::DatabaseUrl, env::Env};
use shared_cluster::Cluster;
use tokio::time::{Instant, sleep};

use super::{development::Database, private, temporary::on_connection};
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
        Self::find(project, env, None)?
            .started_with(lock, slow)
            .await
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

//! Which database it is, and how it moves to another server.

use std::sync::Arc;

use shared::{BoxError, db::DatabaseUrl, env::Env};
use shared_migrate as migrate;
use tokio::sync::watch;

use super::Schema;

/// A server, and the settings it is used with.
pub(in crate::database) type Place = (DatabaseUrl, Arc<Env>);

impl Schema {
    /// The current database.
    pub(crate) fn place(&self) -> Place {
        self.place.borrow().clone()
    }

    /// The current database, with updates.
    pub(crate) fn place_updates(&self) -> watch::Receiver<Place> {
        self.place.subscribe()
    }

    /// Switches to another database, which [`prepare`](Self::prepare) has migrated before anything used it.
    pub(crate) fn set_place(&self, url: DatabaseUrl, env: Arc<Env>) {
        self.place.send_replace((url, env));
    }

    /// Migrates another database before it is used. On an error it must not be used.
    pub(crate) async fn prepare(&self, place: Place) -> Result<(), BoxError> {
        if self.project.migrations().is_none() {
            return Ok(());
        }
        let _alone = self.running.lock().await;
        let files = migrate::load(&self.project.migration_source())?;
        // The files may be those of a branch whose database is not in use yet: the run that follows waits for it.
        let apply = self.auto_applies() && self.project.repository().is_none();
        let outcome = self.run_on(place, &files, apply).await?;
        self.report_applied(&outcome.now);
        outcome
            .failure
            .map_or(Ok(()), |failure| Err(failure.into()))
    }
}

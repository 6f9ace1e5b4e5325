//! Watches a database that differs from `migrations/` and so blocks the app, until it does not.

use std::{sync::Arc, time::Duration};

use shared::BoxError;
use shared_migrate::{self as migrate, RunOutcome};

use super::{Schema, state::SchemaState};
use crate::events::Event;

/// How often to check.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
const RETRY_PAUSE: Duration = Duration::from_millis(50);

impl Schema {
    /// While the app is blocked, checks whether another process has fixed the database, for example `cargo host migrate` or
    /// `cargo host db-reset`. Runs until the host ends and aborts it.
    pub(crate) async fn poll_while_blocked(self: Arc<Self>) {
        let mut state = self.state();
        loop {
            let Ok(blocked) = state
                .wait_for(SchemaState::differs)
                .await
                .map(|now| now.clone())
            else {
                return;
            };
            if blocked.unreached {
                self.access.until_usable().await;
                self.sync().await;
                // In case the next attempt fails again although the server answers others.
                tokio::time::sleep(RETRY_PAUSE).await;
            } else if blocked.failure.is_some_and(|failure| failure.is_transient) {
                tokio::time::sleep(POLL_INTERVAL).await;
                self.sync().await;
            } else {
                tokio::time::sleep(POLL_INTERVAL).await;
                if let Err(error) = self.recheck().await {
                    tracing::debug!("looking at the schema: {error}");
                }
            }
        }
    }

    /// Unblocks the app if nothing is pending. Otherwise the state stays, since a check cannot tell why a file failed.
    async fn recheck(&self) -> Result<(), BoxError> {
        let _alone = self.running.lock().await;
        let files = migrate::load(&self.project.migration_source());
        // A run of ours may have fixed the database meanwhile.
        let (true, Ok(files)) = (self.state.borrow().differs(), files) else {
            return Ok(());
        };
        let RunOutcome {
            status, failure, ..
        } = self.run_on_current(&files, false).await?;
        if failure.is_none() && status.pending.is_empty() {
            self.events.emit(Event::MigrationsUpToDate);
            self.forget_plans(true);
            self.state.send_modify(|state| {
                state.status = status;
                state.failure = None;
                state.revision += 1;
            });
        }
        Ok(())
    }

    /// Plans from before a migration would each fail once.
    pub(super) fn forget_plans(&self, tables_have_changed: bool) {
        self.db.forget_statements();
        if let Some(endpoint) = self.endpoint.as_ref().filter(|_| tables_have_changed) {
            endpoint.refresh();
        }
    }
}

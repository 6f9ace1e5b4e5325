//! The database in use changes places with a copy: that of another branch, or a snapshot.
//!
//! Meanwhile the shared connection is closed, and who wants it waits. The next user opens it on the database that is
//! then in use. Refuses servers other than the private cluster, whose databases are not this project's alone.

use std::time::Instant;

use shared::{BoxError, DbError, request::Request};
use shared_migrate::MigrationFailure;
use tokio::time::sleep;

use super::Schema;
use crate::{
    database::{
        blocker::SLOW_AFTER,
        copies::{Copies, among, report_switch},
    },
    events::Event,
};

/// What a snapshot is refused with.
const NOT_PRIVATE: &str =
    "snapshots are of the private PostgreSQL, and DATABASE_URL names another server: use pg_dump";
const NOT_IN_THIS_MODE: &str =
    "this mode demonstrates connections, and its pools are the app's: restart without --pool app";

impl Schema {
    /// Brings the database of the branch that is checked out into use. `Some`: it is not in use, and why.
    ///
    /// The caller must hold `running`.
    pub(super) async fn follow_branch(&self) -> Result<Option<MigrationFailure>, BoxError> {
        let Some(repository) = self.project.repository() else {
            return Ok(None);
        };
        let failure = |error: String| Ok(Some(MigrationFailure::new(None, error)));
        let branch = match repository.branch() {
            Ok(Some(branch)) => branch,
            Ok(None) => return Ok(None), // in the middle of a rebase, for example
            Err(error) => return failure(error.to_string()),
        };
        let (url, env) = self.place();
        let now = among(&url, &env, async |copies| copies.branch().await).await?;
        self.state
            .send_modify(|state| state.branch.clone_from(&now));
        if now.as_ref() == Some(&branch) {
            return Ok(None);
        }
        let what = match now {
            Some(now) => {
                format!("the database of branch {branch} takes the place of branch {now}'s")
            }
            None => format!("the database becomes that of branch {branch}"),
        };
        let since = Instant::now();
        let switch = async |copies: Copies<'_>| copies.use_branch(&branch).await;
        match self.apart(what, switch).await {
            Ok(switched) => {
                let now = Some(branch.clone());
                self.state.send_modify(|state| state.branch = now);
                report_switch(branch, switched, since.elapsed(), &self.events);
            }
            Err(error) => {
                return failure(format!(
                    "the database of branch {branch} is not in use: {error}"
                ));
            }
        }
        Ok(None)
    }

    /// Keeps a copy of the database.
    pub(crate) async fn snapshot(&self, name: &str) -> Result<(), BoxError> {
        self.refuse_snapshots()?;
        let _alone = self.running.lock().await;
        let what = format!("the snapshot {name} is being made");
        self.apart(what, async |copies: Copies<'_>| copies.snapshot(name).await)
            .await?;
        let name = name.to_owned();
        self.events.emit(Event::SnapshotMade { name });
        Ok(())
    }

    /// Puts a snapshot in the database's place, and applies what is pending there.
    pub(crate) async fn restore(&self, name: &str) -> Result<(), BoxError> {
        self.refuse_snapshots()?;
        {
            let _alone = self.running.lock().await;
            let what = format!("the snapshot {name} is being restored");
            self.apart(what, async |copies: Copies<'_>| copies.restore(name).await)
                .await?;
            let name = name.to_owned();
            self.events.emit(Event::SnapshotRestored { name });
        }
        self.sync().await;
        Ok(())
    }

    fn refuse_snapshots(&self) -> Result<(), BoxError> {
        let private = self.place().1.database_url.is_none();
        match (private, self.may_migrate) {
            (true, true) => Ok(()),
            (false, _) => Err(NOT_PRIVATE.into()),
            (true, false) => Err(NOT_IN_THIS_MODE.into()),
        }
    }

    /// Runs `work` while the host has no connection to the database. Requests wait; once it is slow, they are told why.
    async fn apart<T>(
        &self,
        what: String,
        work: impl AsyncFnOnce(Copies<'_>) -> Result<T, BoxError>,
    ) -> Result<T, BoxError> {
        let (url, env) = self.place();
        let me = Request::of_the_host("a change of databases");
        self.state
            .send_modify(|state| state.applying = Some(super::state::Applying::apart(what)));
        let changing = me.scope(self.db.disconnected(async || among(&url, &env, work).await));
        let changed = tokio::select! {
            changed = changing => changed,
            never = self.note_slow() => match never {},
        };
        self.state.send_modify(|state| state.applying = None);
        // Whatever was prepared was for the tables of another database.
        self.forget_plans(true);
        changed.map_err(|error: DbError| error.to_string())?
    }

    async fn note_slow(&self) -> std::convert::Infallible {
        sleep(SLOW_AFTER).await;
        self.state.send_modify(|state| {
            if let Some(applying) = &mut state.applying {
                applying.slow = true;
            }
        });
        std::future::pending().await
    }
}

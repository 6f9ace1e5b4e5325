//! Another database takes the place of the one in use: that of another branch, or a snapshot.
//!
//! Meanwhile the shared connection is closed, and who wants it waits. The next user opens it on the database that is
//! then in use. Refuses servers other than the private cluster, whose databases are not this project's alone.

use std::{convert::Infallible, time::Duration};

use shared::{BoxError, DbError, request::Request};
use shared_migrate::MigrationFailure;
use tokio::time::{Instant, sleep};

use super::{Schema, state::Applying};
use crate::{
    config::{HEAD_FOLLOWS, Repository},
    database::{
        blocker::SLOW_AFTER,
        copies::{COMMENT, Copies, Owner, report_switch, with_copies},
        on_connection,
    },
    events::Event,
};

const NOT_PRIVATE: &str =
    "snapshots are of the private PostgreSQL, and DATABASE_URL names another server: use pg_dump";
const NOT_IN_THIS_MODE: &str =
    "this mode demonstrates connections, and its pools are the app's: restart without --pool app";

/// Why nothing was copied or renamed.
#[derive(Debug, thiserror::Error)]
enum Undone {
    #[error("the host is ending")]
    Ending,
    /// Others do not give the connection back.
    #[error(transparent)]
    InUse(#[from] DbError),
    #[error("{0}")]
    Failed(BoxError),
}

/// How often to look whether git is done.
const GIT_POLL: Duration = Duration::from_millis(20);

/// What is checked out, where each branch has a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// It does not matter: all branches share the database.
    Any,
    /// Its database is in use.
    Branch(String),
    /// A commit and no branch, as in the middle of a rebase. The database stays as it is.
    Detached,
}

impl Schema {
    /// Waits until git is done, and brings the database of the branch that is checked out into use. `Err` inside: it is
    /// not in use, and why.
    ///
    /// The caller must hold `running`.
    pub(super) async fn follow_branch(&self) -> Result<Result<Head, MigrationFailure>, BoxError> {
        let Some(repository) = self.followed() else {
            return Ok(Ok(Head::Any));
        };
        self.until_git_rests(repository).await?;
        let lasting = |message| MigrationFailure {
            is_transient: false,
            ..MigrationFailure::new(None, message)
        };
        let branch = match repository.branch() {
            Ok(Some(branch)) => branch,
            Ok(None) => return Ok(Ok(Head::Detached)),
            Err(error) => return Ok(Err(lasting(error.to_string()))),
        };
        let now = self.branch_in_use().await?;
        self.state
            .send_modify(|state| state.branch.clone_from(&now));
        if now.as_ref() == Some(&branch) {
            return Ok(Ok(Head::Branch(branch)));
        }
        let what = format!("the database of branch {branch} is being brought into use");
        let since = Instant::now();
        let switch = async |copies: Copies<'_>| copies.use_branch(&branch).await;
        let not_in_use =
            |why: String| format!("the database of branch {branch} is not in use: {why}");
        Ok(match self.disconnected(what, switch).await {
            Ok(switched) => {
                let now = Some(branch.clone());
                self.state.send_modify(|state| state.branch = now);
                report_switch(branch.clone(), switched, since.elapsed(), &self.events);
                Ok(Head::Branch(branch))
            }
            Err(Undone::Ending) => return Err(Undone::Ending.into()),
            Err(Undone::InUse(error)) => {
                Err(MigrationFailure::new(None, not_in_use(error.to_string())))
            }
            // A copy that fails would fail again, and costs as much each time.
            Err(Undone::Failed(error)) => Err(lasting(not_in_use(error.to_string()))),
        })
    }

    /// Whether what is checked out is still that: otherwise the files may be another branch's.
    pub(super) fn is_at(&self, head: &Head) -> bool {
        let Some(repository) = self.followed() else {
            return true;
        };
        let named = match head {
            Head::Any => return true,
            Head::Branch(branch) => Some(branch),
            Head::Detached => None,
        };
        repository.lock().is_none() && repository.branch().is_ok_and(|now| now.as_ref() == named)
    }

    /// Keeps a copy of the database.
    pub(crate) async fn snapshot(&self, name: &str) -> Result<(), BoxError> {
        let (owner, name) = (Owner::snapshot(name)?, name.to_owned());
        let what = format!("the {owner} is being made");
        let work = async |copies: Copies<'_>| copies.snapshot(&owner).await;
        self.copy(what, work, Event::SnapshotMade { name }).await
    }

    /// Puts a snapshot in the database's place, and applies what is pending there if that is done by itself.
    pub(crate) async fn restore(&self, name: &str) -> Result<(), BoxError> {
        let (owner, name) = (Owner::snapshot(name)?, name.to_owned());
        let what = format!("the {owner} is being restored");
        let work = async |copies: Copies<'_>| copies.restore(&owner).await;
        self.copy(what, work, Event::SnapshotRestored { name })
            .await?;
        self.sync().await;
        Ok(())
    }

    /// Runs `work` at the user's request, and reports `done`.
    async fn copy(
        &self,
        what: String,
        work: impl AsyncFnOnce(Copies<'_>) -> Result<(), BoxError>,
        done: Event,
    ) -> Result<(), BoxError> {
        match (self.is_private(), self.may_migrate) {
            (false, _) => return Err(NOT_PRIVATE.into()),
            (true, false) => return Err(NOT_IN_THIS_MODE.into()),
            (true, true) => {}
        }
        let _alone = self.running.lock().await;
        if self.ending.is_cancelled() {
            return Err(Undone::Ending.into());
        }
        self.disconnected(what, work).await?;
        self.events.emit(done);
        Ok(())
    }

    /// Whether the database in use is the private cluster's.
    pub(super) fn is_private(&self) -> bool {
        self.place().1.database_url.is_none()
    }

    /// The repository whose branches have a database each, while that can be.
    fn followed(&self) -> Option<&Repository> {
        self.project.repository().filter(|_| self.is_private())
    }

    /// On the shared connection if it is open, so that there is no second one.
    async fn branch_in_use(&self) -> Result<Option<String>, BoxError> {
        let (url, env) = self.place();
        let name = url.config().get_dbname().unwrap_or_default();
        let row = if self.db.status().size > 0 {
            let me = Request::of_the_host("the branch of the database");
            me.scope(self.db.query_one(COMMENT, &[&name])).await?
        } else {
            on_connection(&url, &env, async |client| {
                Ok(client.query_one(COMMENT, &[&name]).await?)
            })
            .await?
        };
        Ok(Owner::branch_in(row.get(0)))
    }

    async fn until_git_rests(&self, repository: &Repository) -> Result<(), Undone> {
        let Some(lock) = repository.lock() else {
            return Ok(());
        };
        let what = format!("git is changing the files ({lock} is there)");
        self.shown(what, async {
            while repository.lock().is_some() {
                sleep(GIT_POLL).await;
            }
            sleep(HEAD_FOLLOWS).await;
        })
        .await
    }

    /// Runs `work` while the host has no connection to the database.
    async fn disconnected<T>(
        &self,
        what: String,
        work: impl AsyncFnOnce(Copies<'_>) -> Result<T, BoxError>,
    ) -> Result<T, Undone> {
        let (url, env) = self.place();
        let me = Request::of_the_host("a change of databases");
        let work = async || with_copies(&url, &env, work).await;
        let done = self.shown(what, me.scope(self.db.disconnected(work))).await;
        // Whatever was prepared was for the tables of another database.
        self.forget_plans(true);
        done??.map_err(Undone::Failed)
    }

    /// Shows `what` while `work` runs: requests wait, and once it is slow, they are told why.
    async fn shown<T>(&self, what: String, work: impl Future<Output = T>) -> Result<T, Undone> {
        let applying = Some(Applying {
            instead: Some(what),
            ..Applying::begin()
        });
        self.state.send_modify(|state| state.applying = applying);
        let done = tokio::select! {
            done = work => Ok(done),
            never = self.note_slow() => match never {},
            () = self.ending.cancelled() => Err(Undone::Ending),
        };
        self.state.send_modify(|state| state.applying = None);
        done
    }

    async fn note_slow(&self) -> Infallible {
        sleep(SLOW_AFTER).await;
        self.state.send_modify(|state| {
            if let Some(applying) = &mut state.applying {
                applying.slow = true;
            }
        });
        std::future::pending().await
    }
}

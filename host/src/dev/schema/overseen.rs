//! One run of migrations, looked after: says which file is at work and what that waits for, and can be cancelled.
//!
//! Looks at the server over a connection of its own, and only while a run takes long.

use std::{convert::Infallible, pin::pin, time::Duration};

use chrono::{DateTime, Local};
use refinery::Migration;
use serde::Serialize;
use shared::{
    BoxError,
    db::{Cancel, DbConfig, connect},
};
use tokio::{sync::watch, time::timeout};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::{Place, state::SchemaState};
use crate::migrate::{self, Failure, Outcome, RunControl};

/// What takes longer is worth a word.
const LONG: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(500);

/// How often, and after what pause, the server is asked to cancel: one cancel may meet the pause between two statements.
const CANCELS: usize = 20;
const CANCEL_PAUSE: Duration = Duration::from_millis(250);

/// A run that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Applying {
    /// `None` while files and database are compared, should that take long.
    pub(crate) file: Option<String>,
    pub(crate) since: DateTime<Local>,
    /// It takes so long that people should know.
    pub(crate) slow: bool,
    /// Whose lock is in the way: PID, name, state and statement.
    pub(crate) waits_for: Option<String>,
    /// It is at work on a database that the app is to move to: the app goes on with the one it has.
    #[serde(skip)]
    pub(super) elsewhere: bool,
}

/// Where a run happens, and who is told about it.
pub(super) struct Run<'a> {
    pub(super) place: Place,
    /// Not where the app's connection leads.
    pub(super) elsewhere: bool,
    pub(super) state: &'a watch::Sender<SchemaState>,
    /// Cancelled when somebody wants it to end.
    pub(super) stop: CancellationToken,
}

impl Run<'_> {
    pub(super) async fn over(
        &self,
        client: &mut Client,
        files: &[Migration],
        apply: bool,
    ) -> Outcome {
        let cancel = Cancel::of(client, &self.place.0);
        let pid = match client.query_one("SELECT pg_backend_pid()", &[]).await {
            Ok(row) => row.get(0),
            Err(_) => 0, // the run itself will say what is wrong
        };
        let began = self.since_now();
        let before_file = |name: &str| {
            let file = Some(format!("migrations/{name}.sql"));
            let now = self.since_now();
            self.state
                .send_modify(|state| state.applying = Some(Applying { file, ..now }));
        };
        let control = RunControl {
            before_file: &before_file,
            stop: &self.stop,
        };
        let mut running = pin!(migrate::run(client, files, apply, &control));
        let outcome = tokio::select! {
            outcome = &mut running => outcome,
            never = self.look(pid, &began) => match never {},
            () = self.stop.cancelled() => self.end(cancel, running).await,
        };
        self.state
            .send_if_modified(|state| state.applying.take().is_some());
        outcome
    }

    fn since_now(&self) -> Applying {
        Applying {
            file: None,
            since: Local::now(),
            slow: false,
            waits_for: None,
            elsewhere: self.elsewhere,
        }
    }

    async fn end(
        &self,
        cancel: Cancel,
        mut running: impl Future<Output = Outcome> + Unpin,
    ) -> Outcome {
        for _ in 0..CANCELS {
            // Whether it was heard shows in the run.
            drop(timeout(CANCEL_PAUSE, cancel.send()).await);
            if let Ok(outcome) = timeout(CANCEL_PAUSE, &mut running).await {
                return outcome;
            }
        }
        let why = "the server did not cancel it; its connection is being closed".to_owned();
        let failure = Failure {
            is_transient: false, // somebody wanted its end
            ..Failure::new(None, why)
        };
        Outcome {
            failure: Some(failure),
            ..Outcome::default()
        }
    }

    /// For as long as the run lasts: looks what it waits for.
    async fn look(&self, pid: i32, began: &Applying) -> Infallible {
        loop {
            tokio::time::sleep(LONG).await;
            if let Err(error) = self.look_over_a_connection(pid, began).await {
                tracing::debug!("looking what a migration waits for: {error}");
                self.waits_for(None, began);
            }
        }
    }

    async fn look_over_a_connection(&self, pid: i32, began: &Applying) -> Result<(), BoxError> {
        let (url, env) = &self.place;
        let name = format!("host-watch:{}", std::process::id());
        let (client, connection) = connect(&DbConfig::new(env, url.clone(), name)).await?;
        // Ends with the client, and so with this function.
        tokio::spawn(async move { drop(connection.await) });
        loop {
            let blocker = client.query_opt(BLOCKER, &[&pid]).await?;
            self.waits_for(blocker.map(|row| row.get(0)), began);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Enters it, if the file at work, or the comparison before the first, takes long by now.
    fn waits_for(&self, blocker: Option<String>, began: &Applying) {
        self.state.send_if_modified(|state| {
            let before = state.applying.as_ref().unwrap_or(began);
            let took = (Local::now() - before.since).to_std();
            let now = Applying {
                slow: true,
                waits_for: blocker,
                ..before.clone()
            };
            let news = took.is_ok_and(|took| took >= LONG) && now != *before;
            if news {
                state.applying = Some(now);
            }
            news
        });
    }
}

/// The first of those whose locks the backend `$1` waits for. A prepared transaction has no backend.
const BLOCKER: &str = "\
SELECT concat('PID ', blocker, ' (', concat_ws(', ', nullif(application_name, ''), state, nullif(left(query, 80), '')), ')')
FROM unnest(pg_blocking_pids($1)) AS blocker
LEFT JOIN pg_stat_activity ON pid = blocker
LIMIT 1";

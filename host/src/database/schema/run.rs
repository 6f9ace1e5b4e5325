//! One migration run: reports the current file and the lock it waits for, and can be cancelled.

use std::{
    pin::pin,
    sync::atomic::{AtomicI32, Ordering::Relaxed},
    time::Duration,
};

use chrono::Local;
use shared::db::Cancel;
use shared_migrate::{self as migrate, MigrationFailure, RunControl, RunOutcome};
use tokio::{sync::watch, time::timeout};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::{
    Place,
    state::{Applying, SchemaState},
};
use crate::database::blocker::{SLOW_AFTER, watch_blocker};

/// How often, and with what pause, to request the cancel: one may arrive between two statements and have no effect. A
/// server that has not obeyed after these five seconds will not.
const CANCELS: u32 = 10;
const CANCEL_PAUSE: Duration = Duration::from_millis(250);

/// The database of a run, and the state that it updates.
pub(super) struct Run<'a> {
    pub(super) place: Place,
    /// Not the database that the app uses now.
    pub(super) elsewhere: bool,
    pub(super) state: &'a watch::Sender<SchemaState>,
    /// Cancelled when the run is to end.
    pub(super) stop: CancellationToken,
}

impl Run<'_> {
    pub(super) async fn execute(
        &self,
        client: &mut Client,
        cancel: Cancel,
        files: &migrate::Files,
        apply: bool,
    ) -> RunOutcome {
        // Zero until the server has said it. Asked within the run, since it may not answer.
        let pid = AtomicI32::new(0);
        let start = self.since_now();
        let before_file = |path: &str| {
            let file = Some(path.to_owned());
            let now = self.since_now();
            self.state
                .send_modify(|state| state.applying = Some(Applying { file, ..now }));
        };
        let control = RunControl {
            before_file: &before_file,
            stop: &self.stop,
        };
        let mut running = pin!(async {
            // An error comes again in the run, which reports it.
            if let Ok(row) = client.query_one("SELECT pg_backend_pid()", &[]).await {
                pid.store(row.get(0), Relaxed);
            }
            migrate::run(client, files, apply, &control).await
        });
        let (url, env) = &self.place;
        let blocker = watch_blocker(url, env, (&pid, files.style), |found| {
            self.set_blocker(found, &start);
        });
        let outcome = tokio::select! {
            outcome = &mut running => outcome,
            never = blocker => match never {},
            () = self.stop.cancelled() => self.cancel_run(cancel, running, &pid).await,
        };
        // Otherwise the caller replaces the whole state: until then nothing may say that nothing is pending.
        if self.elsewhere || !apply {
            self.state
                .send_if_modified(|state| state.applying.take().is_some());
        }
        outcome
    }

    fn since_now(&self) -> Applying {
        Applying {
            elsewhere: self.elsewhere,
            ..Applying::begin()
        }
    }

    async fn cancel_run(
        &self,
        cancel: Cancel,
        mut running: impl Future<Output = RunOutcome> + Unpin,
        pid: &AtomicI32,
    ) -> RunOutcome {
        for _ in 0..CANCELS {
            // Success shows in the run's result.
            drop(timeout(CANCEL_PAUSE, cancel.send()).await);
            if let Ok(outcome) = timeout(CANCEL_PAUSE, &mut running).await {
                return outcome;
            }
        }
        let who = match pid.load(Relaxed) {
            0 => "its backend".to_owned(),
            pid => format!("its backend, PID {pid}"),
        };
        let why = format!(
            "cancelled, but the server did not end it within {} s: {who}, may still hold locks; if the next attempt waits for them, \
             end that process on the server",
            (CANCELS * 2 * CANCEL_PAUSE).as_secs()
        );
        let failure = MigrationFailure {
            is_transient: false, // it was cancelled on request
            ..MigrationFailure::new(None, why)
        };
        RunOutcome {
            failure: Some(failure),
            ..RunOutcome::default()
        }
    }

    /// Records what the run waits for, once the current file (or the comparison before the first) is slow.
    fn set_blocker(&self, blocker: Option<String>, start: &Applying) {
        self.state.send_if_modified(|state| {
            let before = state.applying.as_ref().unwrap_or(start);
            let took = (Local::now() - before.since).to_std();
            let now = Applying {
                slow: true,
                waits_for: blocker,
                ..before.clone()
            };
            let news = took.is_ok_and(|took| took >= SLOW_AFTER) && now != *before;
            if news {
                state.applying = Some(now);
            }
            news
        });
    }
}

//! `GET /healthz` and `GET /readyz`: whether the process answers, and whether it should get requests.
//!
//! Owns when the database is asked, so that probes, however many, cannot load it: one task asks, one question at a time,
//! and an answer is used for a second. Says to clients only what kind of failure there is, since an error of the database
//! may name its host and user; the log has all of it.

use std::time::{Duration, Instant};

use axum::{
    body::Body,
    http::{Method, Response, StatusCode, header},
    response::IntoResponse,
};
use hyper::Request;
use shared::{Db, db::DbConfig};
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::database::{self, Trouble};

/// How long an answer of the database is used.
const FRESH: Duration = Duration::from_secs(1);

/// How long a probe waits: for the question that is under way, and for one of its own.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// How many probes wait in the channel; further ones wait for a place in it.
const WAITING: usize = 64;

type Verdict = Result<(), Trouble>;

/// Answers the probes.
#[derive(Clone)]
pub(super) struct Health {
    asked: mpsc::Sender<oneshot::Sender<Verdict>>,
    ending: CancellationToken,
}

impl Health {
    /// Asks nothing yet. The task ends with its handle. From `ending` on the process is not ready.
    pub(super) fn new(
        db: Db,
        config: DbConfig,
        ending: CancellationToken,
    ) -> (Self, AbortOnDropHandle<()>) {
        let (asked, questions) = mpsc::channel(WAITING);
        let task = tokio::spawn(answer(db, config, questions));
        (Self { asked, ending }, AbortOnDropHandle::new(task))
    }

    /// Which probe a request is, if it is one.
    pub(super) fn probe<B>(request: &Request<B>) -> Option<Probe> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        match request.uri().path() {
            "/healthz" if reads => Some(Probe::Health),
            "/readyz" if reads => Some(Probe::Readiness),
            _ => None,
        }
    }

    pub(super) async fn respond(&self, probe: Probe) -> Response<Body> {
        let verdict = match probe {
            Probe::Health => Ok(()),
            Probe::Readiness => self.readiness().await,
        };
        let (status, text) = match verdict {
            Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
            Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
        };
        let headers = [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        (status, headers, text).into_response()
    }

    async fn readiness(&self) -> Result<(), String> {
        if self.ending.is_cancelled() {
            return Err("shutting down".to_owned());
        }
        let (reply, verdict) = oneshot::channel();
        let verdict = async {
            self.asked.send(reply).await.ok()?;
            verdict.await.ok()
        };
        match tokio::time::timeout(PATIENCE, verdict).await {
            Ok(Some(verdict)) => verdict.map_err(|trouble| trouble.to_string()),
            _ => Err(Trouble::Silent.to_string()),
        }
    }
}

/// A path that is answered here.
#[derive(Clone, Copy)]
pub(super) enum Probe {
    Health,
    Readiness,
}

/// Until the last [`Health`] is gone.
async fn answer(db: Db, config: DbConfig, mut questions: mpsc::Receiver<oneshot::Sender<Verdict>>) {
    let mut last: Option<(Instant, Verdict)> = None;
    while let Some(reply) = questions.recv().await {
        let outdated = last.take_if(|(since, _)| since.elapsed() >= FRESH);
        let was_ready = outdated.map(|(_, verdict)| verdict.is_ok());
        let (_, verdict) = match last {
            Some(ref known) => known,
            None => {
                let asked = database::ask(&db, &config).await;
                report(was_ready, &asked);
                let verdict = asked.map_err(|(trouble, _)| trouble);
                last.insert((Instant::now(), verdict))
            }
        };
        if reply.send(*verdict).is_err() {
            tracing::debug!("a probe did not wait for its answer");
        }
    }
}

/// One line when it changes, not one for each probe.
fn report(was_ready: Option<bool>, asked: &Result<(), (Trouble, String)>) {
    match asked {
        Err((trouble, detail)) if was_ready != Some(false) => {
            tracing::warn!("not ready: {trouble}: {detail}");
        }
        Ok(()) if was_ready == Some(false) => tracing::info!("ready: the database answers again"),
        _ => {}
    }
}

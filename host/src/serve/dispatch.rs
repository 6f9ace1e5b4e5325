//! Runs one request inside the active generation.
//!
//! Everything of the app runs on the generation's own runtime: the handler, its body, what it spawns. This side only
//! waits. A client that goes away drops this future, and that aborts the request's task over there.
//! What a client is told when there is no answer is not decided here.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, Response, StatusCode},
};
use host_accept::Tether;
use hyper::body::Incoming;
use shared::db::Failure;
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt;

use super::body;
use crate::{
    generation::{Absence, Generations},
    panics,
};

/// What became of a request.
pub(crate) struct Served {
    /// The generation it ran in; 0 if in none.
    pub(crate) generation: u64,
    /// Statements it had sent when its answer began.
    pub(crate) statements: u64,
    /// How the database failed it last.
    pub(crate) failure: Option<Failure>,
    pub(crate) answer: Result<Response<Body>, NoAnswer>,
}

/// Why the app gave no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// There is no generation to ask.
    Absent(Absence),
    /// The handler panicked.
    Panicked(panics::Report),
    /// The host has given up waiting for it, for this reason.
    CutOff(String),
}

/// Has the app answer.
pub(crate) async fn dispatch(
    generations: &Arc<Generations>,
    request: Request<Incoming>,
    tether: Tether,
) -> Served {
    let leased = generations.lease(request.method(), request.uri().path());
    let (lease, router) = match leased.await {
        Ok(leased) => leased,
        Err(absent) => {
            return Served {
                generation: 0,
                statements: 0,
                failure: None,
                answer: Err(NoAnswer::Absent(absent)),
            };
        }
    };
    let generation = lease.generation();
    let running = lease
        .runtime()
        .spawn(lease.request().clone().scope(async move {
            let response = match router.oneshot(request.map(Body::new)).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            body::detach(response).await
        }));
    let request = lease.request().clone();
    let answer = tokio::select! {
        ended = AbortOnDropHandle::new(running) => match ended {
            // The socket leaves HTTP and its response is over now; the lease is not.
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                tether.hold(lease);
                Ok(response.map(Body::new))
            }
            Ok(response) => Ok(response.map(|body| Body::new(body.with_lease(lease)))),
            Err(error) if error.is_panic() => Err(NoAnswer::Panicked(panics::take(&error))),
            Err(_) => Err(NoAnswer::CutOff(format!(
                "generation {generation} was replaced before this request finished"
            ))),
        },
        // A handler that never comes to an await cannot be aborted; its client is answered all the same.
        reason = request.clone().until_cut_off() => Err(NoAnswer::CutOff(reason)),
    };
    let (statements, failure) = (request.statements(), request.failure());
    Served {
        generation,
        statements,
        failure,
        answer,
    }
}

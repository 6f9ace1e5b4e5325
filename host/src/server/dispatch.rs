//! Runs one request in the active generation.
//!
//! All app code runs on the generation's runtime: the handler, its body, and the tasks it spawns. This side only waits.
//! When the client disconnects, this future is dropped, which aborts the request's task.
//! The caller decides what to send if the app gives no answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{self, Response, StatusCode},
};
use host_accept::Tether;
use hyper::body::Incoming;
use shared::request::Request;
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt;

use super::{body, excerpt::Excerpt};
use crate::{
    generation::{Absence, Generations},
    panics,
};

/// The result of a request.
pub(crate) struct Served {
    /// The generation it ran in; 0 if none.
    pub(crate) generation: u64,
    /// How long it waited for a generation.
    pub(crate) waited: Duration,
    /// What it does. `None` if no generation was asked.
    pub(crate) request: Option<Arc<Request>>,
    pub(crate) answer: Result<Response<Body>, NoAnswer>,
}

/// Why the app gave no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// No generation is active.
    Absent(Absence),
    /// The handler panicked.
    Panicked(panics::PanicReport),
    /// The host has stopped waiting for it, for this reason.
    CutOff(String),
}

/// Lets the app answer `request`, which is the one of this number.
pub(crate) async fn dispatch(
    generations: &Arc<Generations>,
    number: u64,
    request: http::Request<Incoming>,
    tether: Tether,
    excerpt: Option<&Excerpt>,
) -> Served {
    let since = Instant::now();
    let leased = generations
        .lease(request.method(), request.uri().path(), number)
        .await;
    let waited = since.elapsed();
    let (lease, router) = match leased {
        Ok(leased) => leased,
        Err(absent) => {
            return Served {
                generation: 0,
                waited,
                request: None,
                answer: Err(NoAnswer::Absent(absent)),
            };
        }
    };
    let generation = lease.generation();
    let request = request.map(|body| match excerpt {
        Some(excerpt) => excerpt.watch(Body::new(body)),
        None => Body::new(body),
    });
    let running = lease
        .runtime()
        .spawn(lease.request().clone().scope(async move {
            let response = match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            body::detach(response).await
        }));
    let request = lease.request().clone();
    let answer = tokio::select! {
        ended = AbortOnDropHandle::new(running) => match ended {
            // The socket leaves HTTP, and the response ends now. The lease must last as long as the socket.
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
        // A handler that never awaits cannot be aborted, but its client still gets an answer.
        reason = request.clone().until_cut_off() => Err(NoAnswer::CutOff(reason)),
    };
    Served {
        generation,
        waited,
        request: Some(request),
        answer,
    }
}

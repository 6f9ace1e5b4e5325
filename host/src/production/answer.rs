//! Answers a request: a probe here, everything else by the app, in a task of its own.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Response, StatusCode, Version, header},
};
use host_accept::{Answer, Tether};
use hyper::{Request, body::Incoming};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tower::ServiceExt;
use tracing::{Instrument, Span};

use super::{
    health::Health,
    watch::{Watch, Watched},
};

/// By the app, and before it by `health` if there is one. From `ending` on each answer is the last of its connection.
pub(super) fn by(
    router: Router,
    health: Option<Health>,
    watch: Watch,
    ending: CancellationToken,
) -> Answer {
    Arc::new(move |mut request: Request<Incoming>, _: Tether| {
        let (ending, version) = (ending.clone(), request.version());
        let probe = health.clone().zip(Health::probe(&request));
        // A probe is no request of the app's.
        let watched = match probe {
            Some(_) => None,
            None => watch.begin(&mut request),
        };
        let span = watched.as_ref().map_or_else(Span::none, Watched::span);
        let router = router.clone();
        Box::pin(async move {
            let mut response = match probe {
                Some((health, probe)) => health.respond(probe).await,
                None => respond(router, request, span).await,
            };
            if let Some(watched) = watched {
                response = watched.answered(response);
            }
            if ending.is_cancelled() {
                is_the_last(&mut response, version);
            }
            response
        })
    })
}

/// Runs the request in its own task, so that a panic becomes a 500 instead of a dropped connection.
async fn respond(router: axum::Router, request: Request<Incoming>, span: Span) -> Response<Body> {
    let running = tokio::spawn(router.oneshot(request.map(Body::new)).instrument(span));
    match AbortOnDropHandle::new(running).await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => {
            let mut response = Response::new(Body::from("internal error\n"));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}

/// Asks the client to send what it sends next on another connection, which leads to another process. HTTP/2 has a frame
/// of its own for this.
fn is_the_last(response: &mut Response<Body>, version: Version) {
    if version <= Version::HTTP_11 && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
}

//! Runs one request inside the active generation.
//!
//! Everything of the app runs on the generation's own runtime: the handler, its body, what it spawns. This side only
//! waits. A client that goes away drops this future, and that aborts the request's task over there.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, Response, StatusCode, header},
    response::IntoResponse,
};
use hyper::body::Incoming;
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt;

use super::{body, panics, tether::Tether};
use crate::generation::Generations;

/// Which generation made a response: an extension of it.
#[derive(Clone, Copy)]
pub(crate) struct ServedBy(pub(crate) u64);

/// Answers with the app's response, or says why there is none.
pub(crate) async fn dispatch(
    generations: &Arc<Generations>,
    request: Request<Incoming>,
    tether: Tether,
) -> Response<Body> {
    let (lease, router) = match generations
        .lease(request.method(), request.uri().path())
        .await
    {
        Ok(leased) => leased,
        Err(absent) => return unavailable(absent.to_string()),
    };
    let running = lease.runtime().spawn(async move {
        let response = match router.oneshot(request.map(Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        body::hand_over(response).await
    });
    match AbortOnDropHandle::new(running).await {
        // The socket leaves HTTP and its response is over now; the lease is not.
        Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            tether.hold(lease);
            response.map(Body::new)
        }
        Ok(mut response) => {
            response
                .extensions_mut()
                .insert(ServedBy(lease.generation()));
            response.map(|body| Body::new(body.with(lease)))
        }
        Err(error) if error.is_panic() => panicked(panics::take(&error)),
        Err(_) => unavailable(format!(
            "generation {} was retired before this request had finished",
            lease.generation()
        )),
    }
}

fn panicked(report: panics::Report) -> Response<Body> {
    let message = format!(
        "the handler panicked at {}\n\n{}\n",
        report.location, report.message
    );
    (StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
}

fn unavailable(why: String) -> Response<Body> {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::RETRY_AFTER, "1")],
        why + "\n",
    )
        .into_response()
}

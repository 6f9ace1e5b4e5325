//! What one request was: watched from its head to the last byte of its answer.
//!
//! Owns when a request ends, and by which name it is counted: the pattern of its route, never its path, since clients
//! choose paths and there is no end to them. Says what it has seen to the metrics and to the access log. Where nobody wants
//! to know, nothing is watched.

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    http::{Method, Response, StatusCode},
};
use tracing::Span;

use super::{metrics::Metrics, span};
use crate::{body_end, routes::Route};

/// For a request that no route of the app matches.
pub(super) const UNMATCHED: &str = "unmatched";

/// For a client that left before it had an answer, as nginx writes it; or that was cut off at the end of the process.
const LEFT: u16 = 499;

/// Who wants to know of requests.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) metrics: Option<Arc<Metrics>>,
    pub(super) access_log: bool,
    /// Whether a request has a span.
    pub(super) traced: bool,
}

impl Watch {
    /// Whether anybody wants to know.
    pub(super) fn is_on(&self) -> bool {
        self.metrics.is_some() || self.access_log || self.traced
    }

    /// A request begins.
    pub(super) fn begin<B>(&self, request: &mut hyper::Request<B>) -> Option<Watched> {
        if !self.is_on() {
            return None;
        }
        let route = Route::default();
        request.extensions_mut().insert(route.clone());
        if let Some(metrics) = &self.metrics {
            metrics.begun();
        }
        let method = name_of(request.method());
        let span = match self.traced {
            true => span::of(request, method),
            false => Span::none(),
        };
        Some(Watched {
            watch: self.clone(),
            span,
            method,
            route,
            since: Instant::now(),
            status: None,
        })
    }
}

/// A client can make up methods too.
fn name_of(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE",
    ];
    let name = KNOWN.into_iter().find(|name| *name == method.as_str());
    name.unwrap_or(span::OTHER)
}

/// A request that is under way. It has ended when this is dropped.
pub(super) struct Watched {
    watch: Watch,
    method: &'static str,
    route: Route,
    since: Instant,
    /// Of nothing, unless requests are traced.
    span: Span,
    /// None until the app has answered.
    status: Option<StatusCode>,
}

impl Watched {
    /// What the request does belongs into it.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The head of the answer is there; its body carries the rest of the watch.
    pub(super) fn answered(mut self, response: Response<Body>) -> Response<Body> {
        self.status = Some(response.status());
        body_end::hold(response, self)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let (method, pattern, took) = (self.method, self.route.pattern(), self.since.elapsed());
        let route = pattern.unwrap_or(UNMATCHED);
        let status = self.status.map_or(LEFT, |status| status.as_u16());
        if let Some(metrics) = &self.watch.metrics {
            metrics.ended(method, route, status, took);
        }
        if self.watch.traced {
            span::record(&self.span, method, pattern, self.status);
        }
        if self.watch.access_log {
            let duration_ms = took.as_secs_f64() * 1_000.0;
            tracing::info!(target: "access", method, route, status, duration_ms, "request");
        }
    }
}

//! Which route of the app's a request takes: the pattern, such as `/api/counters/{id}`, never the path. Clients choose
//! paths, and there is no end to them.

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Request},
    http::Response,
    middleware::{Next, from_fn},
};

/// The pattern of a request's route, noted as soon as the app's router knows it: a handler that panics has one too. An
/// extension of the request.
#[derive(Clone, Default)]
pub(crate) struct Route(Arc<OnceLock<MatchedPath>>);

impl Route {
    /// `None` if no route matches.
    pub(crate) fn pattern(&self) -> Option<&str> {
        self.0.get().map(MatchedPath::as_str)
    }
}

/// Makes the app's router note which route a request takes, if that is to know.
pub(crate) fn noting(router: Router) -> Router {
    router.layer(from_fn(note))
}

async fn note(request: Request, next: Next) -> Response<Body> {
    let extensions = request.extensions();
    if let (Some(Route(noted)), Some(path)) = (extensions.get(), extensions.get::<MatchedPath>()) {
        noted.get_or_init(|| path.clone());
    }
    next.run(request).await
}

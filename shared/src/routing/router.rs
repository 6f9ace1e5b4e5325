//! Which handler answers a path: axum's `Router` before it has its state.

use std::convert::Infallible;

use axum::{
    extract::Request,
    handler::Handler,
    response::IntoResponse,
    routing::{self, Route},
};
use tower::{Layer, Service};

use super::erased::Erased;
use crate::AppState;

/// [`axum::Router`] with type-erased handlers: `Router<AppState>` until it has its state, then `Router`.
///
/// Each method does what axum's method of the same name does, panics where it panics, and also accepts plain axum
/// routers.
#[derive(Clone, Debug)]
#[must_use]
pub struct Router<S = ()>(axum::Router<S>);

// For this one state and not generic over it, so that the methods are compiled here.
impl Router<AppState> {
    /// Without routes: each path gets 404.
    pub fn new() -> Self {
        Self(axum::Router::new())
    }

    /// Answers `path` with `methods`; see [`axum::Router::route`] for captures and wildcards.
    #[track_caller]
    #[inline(always)]
    pub fn route(self, path: &str, methods: impl Into<routing::MethodRouter<AppState>>) -> Self {
        self.route_of(path, methods.into())
    }

    /// Answers what starts with `path` with the routes of `router`.
    #[track_caller]
    pub fn nest(self, path: &str, router: impl Into<axum::Router<AppState>>) -> Self {
        self.nest_of(path, router.into())
    }

    /// The routes of both, and the fallback of the one that has one.
    #[track_caller]
    pub fn merge(self, other: impl Into<axum::Router<AppState>>) -> Self {
        self.merge_of(other.into())
    }

    /// Answers `path` with a service, of files for example.
    #[track_caller]
    pub fn route_service<S>(self, path: &str, service: S) -> Self
    where
        S: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Response: IntoResponse,
        S::Future: Send + 'static,
    {
        Self(self.0.route_service(path, service))
    }

    /// Answers what starts with `path` with a service, of files for example.
    #[track_caller]
    pub fn nest_service<S>(self, path: &str, service: S) -> Self
    where
        S: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Response: IntoResponse,
        S::Future: Send + 'static,
    {
        Self(self.0.nest_service(path, service))
    }

    /// Answers paths without a route with `handler`.
    #[track_caller]
    #[inline(always)]
    pub fn fallback<H, T>(self, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.fallback_of(Erased::new(handler))
    }

    /// Answers paths without a route with a service, of files for example.
    #[track_caller]
    pub fn fallback_service<S>(self, service: S) -> Self
    where
        S: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Response: IntoResponse,
        S::Future: Send + 'static,
    {
        Self(self.0.fallback_service(service))
    }

    /// Answers methods that their path does not take with `handler`.
    #[inline(always)]
    pub fn method_not_allowed_fallback<H, T>(self, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.method_not_allowed_fallback_of(Erased::new(handler))
    }

    /// Puts `layer` around the routes it has so far, and around its fallback.
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        Self(self.0.layer(layer))
    }

    /// Puts `layer` around the routes it has so far, and not around its fallback: for what must not hide a 404.
    #[track_caller]
    pub fn route_layer<L>(self, layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        Self(self.0.route_layer(layer))
    }

    /// Gives the handlers their state: the router that `app()` returns.
    pub fn with_state(self, state: AppState) -> Router {
        Router(self.0.with_state(state))
    }

    // Not generic, so that they are compiled here and not in the app.

    #[track_caller]
    fn route_of(self, path: &str, methods: routing::MethodRouter<AppState>) -> Self {
        Self(self.0.route(path, methods))
    }

    #[track_caller]
    fn nest_of(self, path: &str, router: axum::Router<AppState>) -> Self {
        Self(self.0.nest(path, router))
    }

    #[track_caller]
    fn merge_of(self, other: axum::Router<AppState>) -> Self {
        Self(self.0.merge(other))
    }

    fn fallback_of(self, handler: Erased) -> Self {
        Self(self.0.fallback(handler))
    }

    fn method_not_allowed_fallback_of(self, handler: Erased) -> Self {
        Self(self.0.method_not_allowed_fallback(handler))
    }
}

impl Default for Router<AppState> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> From<axum::Router<S>> for Router<S> {
    fn from(plain: axum::Router<S>) -> Self {
        Self(plain)
    }
}

impl<S> From<Router<S>> for axum::Router<S> {
    fn from(Router(plain): Router<S>) -> Self {
        plain
    }
}

//! Which handler answers a method: axum's `MethodRouter` and the functions that start one.

use std::convert::Infallible;

use axum::{
    extract::Request,
    handler::Handler,
    response::IntoResponse,
    routing::{self, MethodFilter, Route},
};
use tower::{Layer, Service};

use super::erased::Erased;
use crate::AppState;

/// The handlers of one path, by method: [`axum::routing::MethodRouter`] with type-erased handlers.
#[derive(Clone, Debug, Default)]
pub struct MethodRouter(routing::MethodRouter<AppState>);

/// For each HTTP method, the function that starts a router and the method that adds to one.
macro_rules! methods {
    ($($name:ident $filter:ident),+) => {
        $(
            #[doc = concat!("Answers `", stringify!($filter), "` with `handler`, as [`axum::routing::", stringify!($name), "`] does.")]
            #[inline(always)]
            pub fn $name<H, T>(handler: H) -> MethodRouter
            where
                H: Handler<T, AppState>,
                T: 'static,
            {
                on(MethodFilter::$filter, handler)
            }
        )+

        impl MethodRouter {
            $(
                #[doc = concat!("Answers `", stringify!($filter), "` with `handler` as well.")]
                #[doc = "\n# Panics\nIf it has a handler for this method already."]
                #[must_use]
                #[track_caller]
                #[inline(always)]
                pub fn $name<H, T>(self, handler: H) -> Self
                where
                    H: Handler<T, AppState>,
                    T: 'static,
                {
                    self.on(MethodFilter::$filter, handler)
                }
            )+
        }
    };
}

methods!(
    connect CONNECT, delete DELETE, get GET, head HEAD, options OPTIONS, patch PATCH, post POST, put PUT, trace TRACE
);

/// Answers the methods of `filter` with `handler`, as [`axum::routing::on`] does.
#[inline(always)]
pub fn on<H, T>(filter: MethodFilter, handler: H) -> MethodRouter
where
    H: Handler<T, AppState>,
    T: 'static,
{
    MethodRouter::new().on(filter, handler)
}

/// Answers every method with `handler`, as [`axum::routing::any`] does.
#[inline(always)]
pub fn any<H, T>(handler: H) -> MethodRouter
where
    H: Handler<T, AppState>,
    T: 'static,
{
    any_of(Erased::new(handler))
}

impl MethodRouter {
    /// Answers no method yet: each gets 405.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers the methods of `filter` with `handler` as well.
    ///
    /// # Panics
    /// If it has a handler for one of them already.
    #[must_use]
    #[track_caller]
    #[inline(always)]
    pub fn on<H, T>(self, filter: MethodFilter, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.on_erased(filter, Erased::new(handler))
    }

    /// Answers the methods that have no handler with `handler`.
    #[must_use]
    #[inline(always)]
    pub fn fallback<H, T>(self, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.fallback_erased(Erased::new(handler))
    }

    /// The handlers of both.
    ///
    /// # Panics
    /// If both have a handler for the same method.
    #[must_use]
    #[track_caller]
    pub fn merge(self, other: impl Into<routing::MethodRouter<AppState>>) -> Self {
        Self(self.0.merge(other.into()))
    }

    /// Puts `layer` around what it has so far; see [`axum::routing::MethodRouter::layer`].
    #[must_use]
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

    #[track_caller]
    fn on_erased(self, filter: MethodFilter, handler: Erased) -> Self {
        Self(self.0.on(filter, handler))
    }

    fn fallback_erased(self, handler: Erased) -> Self {
        Self(self.0.fallback(handler))
    }
}

fn any_of(handler: Erased) -> MethodRouter {
    MethodRouter(routing::any(handler))
}

impl From<routing::MethodRouter<AppState>> for MethodRouter {
    fn from(plain: routing::MethodRouter<AppState>) -> Self {
        Self(plain)
    }
}

impl From<MethodRouter> for routing::MethodRouter<AppState> {
    fn from(MethodRouter(plain): MethodRouter) -> Self {
        plain
    }
}

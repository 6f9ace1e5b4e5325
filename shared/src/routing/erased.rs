//! A handler without its type: the one type that axum's routing is compiled for.

use std::sync::Arc;

use axum::{extract::Request, handler::Handler, response::Response};
use futures_util::future::BoxFuture;

use crate::AppState;

/// Any handler. A call costs one allocation and one indirect call more than the handler itself.
#[derive(Clone)]
pub(super) struct Erased(
    Arc<dyn Fn(Request, AppState) -> BoxFuture<'static, Response> + Send + Sync>,
);

impl Erased {
    /// The only line here that is compiled for each handler.
    pub(super) fn new<H, T>(handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        Self(Arc::new(move |request, state| {
            Box::pin(handler.clone().call(request, state))
        }))
    }
}

impl Handler<(), AppState> for Erased {
    type Future = BoxFuture<'static, Response>;

    fn call(self, request: Request, state: AppState) -> Self::Future {
        (self.0)(request, state)
    }
}

//! A handler without its type: the one type that axum's routing is compiled for.
//!
//! What is generic here and in `method.rs` is to be inlined, which is not about speed: rustc compiles such functions
//! together with whoever calls them, a file of the app. All others lie together, those of every handler, and a route
//! that is added or edited would have them compiled anew.

use std::{marker::PhantomData, sync::Arc};

use axum::{extract::Request, handler::Handler, response::Response};
use futures_util::future::BoxFuture;

use crate::{AppState, request::Request as Current};

/// Any handler, and its name. A call costs one allocation and one indirect call more than the handler itself.
#[derive(Clone)]
pub(super) struct Erased(Arc<dyn Answer>, &'static str);

/// A trait of its own and not `Fn`, whose table has three functions to be compiled for each handler.
trait Answer: Send + Sync {
    fn answer(&self, request: Request, state: AppState) -> BoxFuture<'static, Response>;
}

struct Typed<H, T>(H, PhantomData<fn() -> T>);

impl<H, T> Answer for Typed<H, T>
where
    H: Handler<T, AppState>,
    T: 'static,
{
    #[inline(always)]
    fn answer(&self, request: Request, state: AppState) -> BoxFuture<'static, Response> {
        Box::pin(self.0.clone().call(request, state))
    }
}

impl Erased {
    /// `Arc::new` would be compiled for each handler, `Arc::from` is for all of them.
    #[inline(always)]
    pub(super) fn new<H, T>(handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        Self::of(
            Box::new(Typed(handler, PhantomData)),
            std::any::type_name::<H>(),
        )
    }

    fn of(handler: Box<dyn Answer>, name: &'static str) -> Self {
        Self(Arc::from(handler), name)
    }
}

impl Handler<(), AppState> for Erased {
    type Future = BoxFuture<'static, Response>;

    fn call(self, request: Request, state: AppState) -> Self::Future {
        Current::reaches(self.1);
        self.0.answer(request, state)
    }
}

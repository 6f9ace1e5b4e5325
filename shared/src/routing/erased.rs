//! A handler without its type: the one type that axum's routing is compiled for.
//!
//! Generic functions here and in `method.rs` are `#[inline(always)]`, and not for speed: rustc compiles an inlined
//! function together with its caller, a file of the app. Other generic functions would share one codegen unit for all
//! handlers, and editing or adding one route would recompile them all.

use std::{marker::PhantomData, sync::Arc};

use axum::{extract::Request, handler::Handler, response::Response};
use futures_util::future::BoxFuture;

use crate::{AppState, request::Request as Current};

/// Any handler, and its name. A call costs one allocation and one indirect call more than the handler itself.
#[derive(Clone)]
pub(super) struct Erased(Arc<dyn Answer>, &'static str);

/// Not `Fn`, whose vtable needs three functions compiled for each handler.
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
    /// `Arc::new` would be compiled for each handler; `Arc::from`, in `of`, is compiled once.
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
        Current::set_handler(self.1);
        self.0.answer(request, state)
    }
}

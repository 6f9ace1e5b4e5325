//! Starts a generation: creates its runtime and calls the app's `app()` on it.
//!
//! `app()` may fail, panic or hang without affecting the active generation. Whatever it has opened ends with the new
//! runtime.

use std::{io, sync::Arc, time::Duration};

use shared::{
    AppState, BoxError,
    abi::Entry,
    db::{DbStatus, Holder},
    request::Request,
};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    config::Isolation,
    failure,
    generation::{Generation, OwnRuntime, thread_name},
    panics,
};

/// Why `app()` returned no router.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("app() failed: {0}")]
    Failed(String),
    #[error("app() panicked: {0}")]
    Panicked(String),
    #[error("app() did not return within {} ms (APP_START_TIMEOUT_MS){}", limit.as_millis(), explained(waits_for))]
    Hung {
        limit: Duration,
        /// Who holds the connection alone, if it may be what `app()` waits for.
        waits_for: Option<Holder>,
    },
    #[error("no runtime for the new generation: {0}")]
    Runtime(#[source] io::Error),
}

/// Calls `entry` on a new runtime and waits for its router for at most `limit`.
pub(super) async fn start(
    entry: Entry,
    mut state: AppState,
    isolation: Isolation,
    limit: Duration,
) -> Result<Arc<Generation>, StartError> {
    let (id, shutdown, db) = (state.generation, state.shutdown.clone(), state.db.clone());
    let runtime = match isolation {
        Isolation::On => OwnRuntime(Some(runtime_of(id).map_err(StartError::Runtime)?)),
        Isolation::Off => OwnRuntime(None),
    };
    let handle = runtime
        .0
        .as_ref()
        .map_or_else(Handle::current, |own| own.handle().clone());
    state.db_config.runtime = handle.clone();
    let request = Request::starting(id);
    let me = request.to_string();
    // Call `entry` inside the task: it may work or panic before its first await.
    // It ends with this future: without a runtime of its own nothing else would end it.
    let mut starting = AbortOnDropHandle::new(handle.spawn(request.scope(async move {
        let router = entry(state).await;
        // Convert to text here: the error belongs to the app and must be dropped on its runtime.
        router.map_err(|error: BoxError| failure::with_causes(&*error))
    })));
    let error = match tokio::time::timeout(limit, &mut starting).await {
        Ok(Ok(Ok(router))) => {
            #[cfg(feature = "otlp")]
            let router = crate::routes::noting(router); // for the spans of requests
            return Ok(Generation::new(id, router, handle, runtime, shutdown));
        }
        Ok(Ok(Err(error))) => StartError::Failed(error),
        Ok(Err(error)) => StartError::Panicked(panics::take(&error).to_string()),
        // The task still waits: once it is aborted, what it waits for is not known any more.
        Err(_) => StartError::Hung {
            limit,
            waits_for: alone(&db.status(), &me),
        },
    };
    shutdown.cancel();
    // `runtime` is dropped without waiting for its threads: `app()` may be in a loop without an await.
    Err(error)
}

/// Who else holds the connection alone while something waits for it.
fn alone(pool: &DbStatus, me: &str) -> Option<Holder> {
    let else_alone = |holder: &&Holder| pool.waiting > 0 && holder.alone && holder.who != me;
    pool.holders.iter().find(else_alone).cloned()
}

fn explained(waits_for: &Option<Holder>) -> String {
    let explain = |holder| {
        format!(
            "; if it waits for the database connection: {holder}; save again once that has ended"
        )
    };
    waits_for.as_ref().map(explain).unwrap_or_default()
}

fn runtime_of(id: u64) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .thread_name(thread_name(id))
        .build()
}

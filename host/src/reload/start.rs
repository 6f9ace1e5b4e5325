//! Starts a generation: creates its runtime and calls the app's `app()` on it.
//!
//! `app()` may fail, panic or hang without affecting the active generation. Whatever it has opened ends with the new
//! runtime.

use std::{io, sync::Arc, time::Duration};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use shared::{AppState, BoxError, abi::Entry, request::Request};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::{
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
    #[error("app() did not return within {} ms (APP_START_TIMEOUT_MS)", .0.as_millis())]
    Hung(Duration),
    #[error("no runtime for the new generation: {0}")]
    Runtime(#[source] io::Error),
}

/// Whether each generation has its own runtime, so that everything it opened ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Isolation {
    /// Each generation has its own runtime. The default.
    On,
    /// All generations run on the host's runtime, as in a naive hot reloader: what the app opens stays open.
    Off,
}

/// Calls `entry` on a new runtime and waits for its router for at most `limit`.
pub(super) async fn start(
    entry: Entry,
    mut state: AppState,
    isolation: Isolation,
    limit: Duration,
) -> Result<Arc<Generation>, StartError> {
    let (id, shutdown) = (state.generation, state.shutdown.clone());
    let runtime = match isolation {
        Isolation::On => OwnRuntime(Some(runtime_of(id).map_err(StartError::Runtime)?)),
        Isolation::Off => OwnRuntime(None),
    };
    let handle = runtime
        .0
        .as_ref()
        .map_or_else(Handle::current, |own| own.handle().clone());
    state.db_config.runtime = handle.clone();
    // Call `entry` inside the task: it may work or panic before its first await.
    let starting = handle.spawn(Request::starting(id).scope(async move {
        let router = entry(state).await;
        // Convert to text here: the error belongs to the app and must be dropped on its runtime.
        router.map_err(|error: BoxError| failure::with_causes(&*error))
    }));
    let error = match tokio::time::timeout(limit, starting).await {
        Ok(Ok(Ok(router))) => return Ok(Generation::new(id, router, handle, runtime, shutdown)),
        Ok(Ok(Err(error))) => StartError::Failed(error),
        Ok(Err(error)) => StartError::Panicked(panics::take(&error).to_string()),
        Err(_) => StartError::Hung(limit),
    };
    shutdown.cancel();
    // `runtime` is dropped without waiting for its threads: `app()` may be in a loop without an await.
    Err(error)
}

fn runtime_of(id: u64) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .thread_name(thread_name(id))
        .build()
}

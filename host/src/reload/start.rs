//! Starts a generation: a runtime of its own, and on it the app's `app()`.
//!
//! App code may fail, panic or hang here without touching the generation that serves. Whatever it opened meanwhile
//! ends with the runtime it was opened on.

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

/// Why `app()` gave no router.
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

/// Whether each generation gets a runtime of its own, and so takes along what it opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Isolation {
    /// A runtime each: the design.
    On,
    /// The host's runtime for all, as a naive hot reloader has it: what the app opens, stays open.
    Off,
}

/// Calls `entry` on a fresh runtime and waits for its router, at most `limit`.
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
    // The call itself is inside the task as well: `app` may do work before its first await, or panic there.
    let starting = handle.spawn(Request::starting(id).scope(async move {
        let router = entry(state).await;
        // As text, here: the error is the app's object, and is dropped where it was made.
        router.map_err(|error: BoxError| failure::with_causes(&*error))
    }));
    let error = match tokio::time::timeout(limit, starting).await {
        Ok(Ok(Ok(router))) => return Ok(Generation::new(id, router, handle, runtime, shutdown)),
        Ok(Ok(Err(error))) => StartError::Failed(error),
        Ok(Err(error)) => StartError::Panicked(panics::take(&error).to_string()),
        Err(_) => StartError::Hung(limit),
    };
    shutdown.cancel();
    // `runtime` goes out of scope and is not waited for: `app()` may be stuck in a loop without an await.
    Err(error)
}

fn runtime_of(id: u64) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .thread_name(thread_name(id))
        .build()
}

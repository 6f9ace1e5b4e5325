//! From settings to an app that can serve: the socket, the pool, and `app()` within its limit.

use std::sync::Arc;

use shared::{
    AppState, BoxError, Db, PoolOwner, abi::Building, db::DbConfig, env::Env, keep::Kept,
};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::Dispatch;

use super::{
    close, exporter,
    listener::{Listener, Passed},
};
use crate::{failure, lifecycle::Signals, logs};

/// The app, ready to serve.
pub(super) struct Started {
    pub(super) env: Arc<Env>,
    pub(super) db: Db,
    pub(super) db_config: DbConfig,
    pub(super) shutdown: CancellationToken,
    pub(super) listener: Listener,
    /// For the metrics, if they are wanted.
    pub(super) metrics: Option<TcpListener>,
    pub(super) router: axum::Router,
}

/// Starts the app; `None` if a signal came first.
pub(super) async fn start(
    env: Arc<Env>,
    app: impl FnOnce(AppState) -> Building + Send + 'static,
    signals: &mut Signals,
    passed: Passed,
    log: Dispatch,
) -> Result<Option<Started>, BoxError> {
    logs::read_filter();
    let Some(url) = env.database_url.clone() else {
        let unread = env
            .unread()
            .map(|unread| format!("\n    {unread}"))
            .unwrap_or_default();
        return Err(format!("DATABASE_URL is not set, and `serve` starts no database of its own.{unread}\n    example: DATABASE_URL=postgres://user:password@host/database").into());
    };
    let listener = Listener::new(passed, &env)?;
    let metrics = match env.metrics_address {
        Some(address) => Some(exporter::bind(address).await?),
        None => None,
    };

    let db_config = env.db_config(url, format!("host-serve:{}", std::process::id()));
    let db = Db::new(&db_config);
    let shutdown = CancellationToken::new();
    let state = AppState {
        db: db.clone(),
        generation: 1,
        shutdown: shutdown.clone(),
        env: env.clone(),
        kept: Kept::default(),
        pool_owner: PoolOwner::Host,
        db_config: db_config.clone(),
    };
    // In its own task: it may work for long before its first await, and signals must be seen meanwhile.
    let starting = tokio::spawn(logs::heard(log, async move { app(state).await }));
    let starting = AbortOnDropHandle::new(starting);
    let started = tokio::select! {
        started = tokio::time::timeout(env.app_start_timeout, starting) => started,
        signal = signals.next() => {
            tracing::info!("{signal}: stopped before app() returned");
            close(&db).await;
            return Ok(None);
        }
    };
    let router = match started {
        Ok(Ok(Ok(router))) => router,
        Ok(Ok(Err(error))) => {
            return Err(format!("app() failed: {}", failure::with_causes(&*error)).into());
        }
        Ok(Err(panicked)) => return Err(format!("app() did not end: {panicked}").into()),
        Err(_) => {
            return Err(format!(
                "app() did not return within {} ms (APP_START_TIMEOUT_MS)",
                env.app_start_timeout.as_millis()
            )
            .into());
        }
    };
    Ok(Some(Started {
        env,
        db,
        db_config,
        shutdown,
        listener,
        metrics,
        router,
    }))
}

//! `host serve`: the linked-in app, its pool, and graceful shutdown. No watcher, no loader, no second process.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, http::Response};
use clap::Args;
use host_accept::{Answer, Tether};
use hyper::{Request, body::Incoming};
use shared::{AppState, BoxError, Db, PoolOwner, abi::Building, env::Env, keep::Kept};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tower::ServiceExt;
use tracing::Dispatch;

use crate::{
    config::{ServeFlags, settings},
    failure,
    lifecycle::Signals,
    logs,
    server::listen,
};

/// `host serve`'s own flags.
#[derive(Args)]
pub(crate) struct ServeOptions {
    #[command(flatten)]
    flags: ServeFlags,
}

/// Serves until SIGTERM or Ctrl-C, then finishes what is under way. `log` shows it, unless the app has its own.
pub(crate) async fn serve(
    options: ServeOptions,
    app: impl FnOnce(AppState) -> Building + Send + 'static,
    log: Dispatch,
) -> Result<(), BoxError> {
    let mut signals = Signals::new()?;
    let starting = start(options, app, &mut signals, log.clone());
    let started = logs::heard(log.clone(), starting).await;
    logs::install(log);
    let Some(started) = started? else {
        return Ok(());
    };
    let Started {
        env,
        db,
        shutdown,
        listener,
        router,
    } = started;
    let address = listener.local_addr()?;

    let stop = CancellationToken::new();
    let answer: Answer = Arc::new(move |request: Request<Incoming>, _: Tether| {
        Box::pin(respond(router.clone(), request))
    });
    let mut serving = tokio::spawn({
        let (stop, limits) = (stop.clone(), settings::limits(&env));
        async move { host_accept::serve(&listener, answer, stop, limits).await }
    });
    tracing::info!("serving on http://{address}/");

    let signal = tokio::select! {
        signal = signals.next() => signal,
        ended = &mut serving => return Err(format!("the server stopped unexpectedly: {ended:?}").into()),
    };
    tracing::info!("{signal}: finishing open requests");
    shutdown.cancel();
    stop.cancel();
    let ended = tokio::select! {
        ended = serving => ended?,
        _ = signals.next() => return Ok(()),
    };
    if ended > 0 {
        tracing::warn!(
            "{ended} connections cut off after {} ms (DRAIN_TIMEOUT_MS)",
            env.drain_timeout.as_millis()
        );
    }
    close(&db).await;
    Ok(())
}

/// The app, ready to serve.
struct Started {
    env: Arc<Env>,
    db: Db,
    shutdown: CancellationToken,
    listener: TcpListener,
    router: axum::Router,
}

/// Starts the app; `None` if a signal came first.
async fn start(
    options: ServeOptions,
    app: impl FnOnce(AppState) -> Building + Send + 'static,
    signals: &mut Signals,
    log: Dispatch,
) -> Result<Option<Started>, BoxError> {
    logs::read_filter();
    // The lowest precedence: anything else overrides it.
    let production = [("APP_ENV".to_owned(), "production".to_owned())];
    let env = Arc::new(settings::read(production, &options.flags.0)?);
    let Some(url) = env.database_url.clone() else {
        let unread = env
            .unread()
            .map(|unread| format!("\n    {unread}"))
            .unwrap_or_default();
        return Err(format!("DATABASE_URL is not set, and `serve` starts no database of its own.{unread}\n    example: DATABASE_URL=postgres://user:password@host/database").into());
    };
    let listener = listen::bind(env.host, env.port)?;
    let listener = TcpListener::from_std(listener)?;

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
        db_config,
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
        shutdown,
        listener,
        router,
    }))
}

async fn close(db: &Db) {
    let limit = Duration::from_secs(1);
    if tokio::time::timeout(limit, db.close()).await.is_err() {
        tracing::warn!(
            "the database connection was still in use after {} s",
            limit.as_secs()
        );
    }
}

/// Runs the request in its own task, so that a panic becomes a 500 instead of a dropped connection.
async fn respond(router: axum::Router, request: Request<Incoming>) -> Response<Body> {
    let running = tokio::spawn(router.oneshot(request.map(Body::new)));
    match AbortOnDropHandle::new(running).await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => {
            let mut response = Response::new(Body::from("internal error\n"));
            *response.status_mut() = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}

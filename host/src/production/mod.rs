//! `host serve`: the linked-in app, its pool, and graceful shutdown. No watcher, no loader, no second process.

// Until the app can serve.
mod listener;
mod start;

// Who answers: the app, or what comes before it.
mod answer;
mod database;
mod health;

// Who watches it.
mod exporter;
mod metrics;
mod span;
mod telemetry;
#[cfg(feature = "otlp")]
mod translated;
mod watch;

// Who has started the process.
mod systemd;

use std::{sync::Arc, time::Duration};

use clap::Args;
use host_accept::Limits;
use shared::{AppState, BoxError, Db, abi::Building, env::LogFormat};
use tokio_util::sync::CancellationToken;
use tracing::Dispatch;

use crate::{
    config::{ServeFlags, settings},
    lifecycle::Signals,
    logs::{self, More},
    routes,
};
use health::Health;
pub(crate) use listener::Passed;
use start::{Started, start};
use telemetry::Telemetry;

/// How long a client that keeps its connection may take to send one more request after a signal: the answer tells it to
/// open another. Without this, a request that is on its way would find the connection closed.
const ONE_MORE: Duration = Duration::from_secs(1);

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
    passed: Passed,
    log: fn(LogFormat, More) -> Dispatch,
) -> Result<(), BoxError> {
    let mut signals = Signals::new()?;
    // The lowest precedence: anything else overrides it.
    let production = [("APP_ENV".to_owned(), "production".to_owned())];
    let env = Arc::new(settings::read(production, &options.flags.0)?);
    let mut telemetry = Telemetry::new(&env)?;
    let log = log(env.log_format, telemetry.layer());
    if env.log_format == LogFormat::Json {
        logs::log_panics();
    }
    let starting = start(env, app, &mut signals, passed, log.clone());
    let started = logs::heard(log.clone(), starting).await;
    let is_ours = logs::install(log);
    let Some(started) = started? else {
        return Ok(());
    };
    let Started {
        env,
        db,
        db_config,
        shutdown,
        listener,
        metrics,
        router,
    } = started;
    if let Some(missing) = telemetry.missing(&env, is_ours) {
        tracing::warn!("OTEL_EXPORTER_OTLP_ENDPOINT is set, but {missing}");
    }
    let address = listener.address()?;
    let note = listener.note();

    let stop = CancellationToken::new();
    let ending = CancellationToken::new();
    let (health, _checking) = Health::new(db.clone(), db_config, ending.clone());
    let limits = Limits {
        // Half of it, so that there is time left to close them in good order.
        idle: ONE_MORE.min(env.drain_timeout / 2),
        upgraded: true,
        ..settings::limits(&env)
    };
    let watch = telemetry.watch(&env, &db, &limits.places, &health, metrics)?;
    let health = env.http_health.then_some(health);
    let router = if watch.is_on() {
        routes::noting(router)
    } else {
        router
    };
    let answer = answer::by(router, health, watch, ending.clone());
    let mut serving = tokio::spawn(listener.serve(answer, stop.clone(), limits));
    tracing::info!("serving on http://{address}/{note}");
    systemd::ready();

    let signal = tokio::select! {
        signal = signals.next() => signal,
        ended = &mut serving => return Err(format!("the server stopped unexpectedly: {ended:?}").into()),
    };
    systemd::stopping();
    ending.cancel();
    if !env.drain_delay.is_zero() {
        let delay = env.drain_delay.as_millis();
        tracing::info!(
            "{signal}: not ready any more, and serving on for {delay} ms (DRAIN_DELAY_MS)"
        );
        tokio::select! {
            () = tokio::time::sleep(env.drain_delay) => {}
            _ = signals.next() => return Ok(()),
            ended = &mut serving => return Err(format!("the server stopped unexpectedly: {ended:?}").into()),
        }
    }
    tracing::info!("{signal}: finishing open requests");
    shutdown.cancel();
    stop.cancel();
    let ending = async {
        let cut_off = serving.await?;
        if cut_off > 0 {
            let connections = if cut_off == 1 {
                "connection"
            } else {
                "connections"
            };
            tracing::warn!(
                "{cut_off} {connections} cut off after {} ms (DRAIN_TIMEOUT_MS)",
                env.drain_timeout.as_millis()
            );
        }
        close(&db).await;
        telemetry.end().await;
        Ok(())
    };
    tokio::select! {
        ended = ending => ended,
        _ = signals.next() => Ok(()),
    }
}

/// Within a second: the exit of the process closes what is left.
pub(super) async fn close(db: &Db) {
    let limit = Duration::from_secs(1);
    if tokio::time::timeout(limit, db.close()).await.is_err() {
        tracing::warn!(
            "the database connection was still in use after {} s",
            limit.as_secs()
        );
    }
}

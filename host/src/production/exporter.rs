//! Serves the metrics, at an address of their own: they are not for the public, leave the app all of its paths, and can be
//! read while every place for clients is taken. For the same reason the probes are answered here too.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Response, StatusCode, header},
    response::IntoResponse,
};
use host_accept::{Answer, Limits, Places};
use hyper::Method;
use shared::BoxError;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{health::Health, metrics::Metrics};

/// Few read them.
const READERS: usize = 16;

/// How long a reader may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// Takes the address, so that one that is in use is seen before the app starts.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, BoxError> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = "choose another HTTP_METRICS_ADDRESS";
        format!("cannot listen on {address} for metrics: {error}; {advice}").into()
    })
}

/// Serves until the handle is dropped: the end of the process can be watched too.
pub(super) fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    health: Health,
) -> Result<AbortOnDropHandle<usize>, BoxError> {
    let address = listener.local_addr()?;
    let answer: Answer = Arc::new(move |request, _| {
        let (health, metrics) = (health.clone(), metrics.clone());
        Box::pin(async move {
            match Health::probe(&request) {
                Some(probe) => health.respond(probe).await,
                None => respond(request.method(), request.uri().path(), &metrics),
            }
        })
    });
    let limits = Limits {
        places: Places::new(READERS, "readers of the metrics"),
        silence: SILENCE,
        drain: Duration::ZERO,
        idle: Duration::ZERO,
        upgraded: false,
    };
    tracing::info!("metrics at http://{address}/metrics");
    let until = CancellationToken::new(); // nobody cancels it
    let serving = async move { host_accept::serve(&listener, answer, until, limits).await };
    Ok(AbortOnDropHandle::new(tokio::spawn(serving)))
}

fn respond(method: &Method, path: &str, metrics: &Metrics) -> Response<Body> {
    let (status, text) = match (method, path) {
        (&Method::GET | &Method::HEAD, "/metrics") => match metrics.text() {
            Ok(text) => (StatusCode::OK, text),
            Err(error) => {
                tracing::warn!("cannot write the metrics: {error}");
                let text = "cannot write the metrics: the log says why\n".to_owned();
                (StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        },
        _ => (
            StatusCode::NOT_FOUND,
            "the metrics are at /metrics\n".to_owned(),
        ),
    };
    let kind = [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)];
    (status, kind, text).into_response()
}

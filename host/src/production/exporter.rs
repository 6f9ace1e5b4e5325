//! Serves the metrics, at an address of their own: they are not for the public, leave the app all of its paths, and can be
//! read while every place for clients is taken.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use host_accept::{Answer, Limits, Places};
use hyper::Method;
use shared::BoxError;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::metrics::Metrics;

/// Few read them.
const READERS: usize = 16;

/// How long a reader may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// Serves until the handle is dropped: the end of the process can be watched too.
pub(super) async fn serve(
    address: SocketAddr,
    metrics: Arc<Metrics>,
) -> Result<AbortOnDropHandle<usize>, BoxError> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        format!(
            "cannot listen on {address} for metrics: {error}; choose another HTTP_METRICS_ADDRESS"
        )
    })?;
    let address = listener.local_addr()?;
    let answer: Answer = Arc::new(move |request, _| {
        let response = respond(request.method(), request.uri().path(), &metrics);
        Box::pin(async { response })
    });
    let limits = Limits {
        places: Places::new(READERS),
        silence: SILENCE,
        drain: Duration::ZERO,
        idle: Duration::ZERO,
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
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(prometheus::TEXT_FORMAT);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

//! One connection: from its first byte to its end, or to what it may still ask after `stop`.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::http::Version;
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{net::TcpStream, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Answer, LAST_WORD, places::Place, tether::Tethered};

/// Serves it. `silence` and `idle` are those of [`Limits`](super::Limits).
pub(super) async fn connection(
    stream: TcpStream,
    place: Place,
    answer: Answer,
    stop: CancellationToken,
    silence: Duration,
    idle: Duration,
) {
    let deadline = Instant::now() + silence;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("TCP_NODELAY: {error}"); // only makes answers slower
    }
    if !has_spoken(&stream, &stop, deadline, idle.max(LAST_WORD)).await {
        return;
    }
    let (stream, tether) = Tethered::new(stream, place);
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(silence);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(silence)
        .keep_alive_timeout(silence);

    let begun = Arc::new(AtomicBool::new(false));
    let is_http2 = Arc::new(AtomicBool::new(false));
    let (begins, as_http2) = (begun.clone(), is_http2.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        begins.store(true, Relaxed);
        as_http2.store(request.version() == Version::HTTP_2, Relaxed);
        let response = answer(request, tether.clone());
        async move { Ok::<_, Infallible>(response.await) }
    });
    let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        // Poll the connection first: a request that has arrived is read before `stop` is seen, and is then finished.
        biased;
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            let one_more = if is_http2.load(Relaxed) { Duration::ZERO } else { idle };
            match tokio::time::timeout(one_more, connection.as_mut()).await {
                Ok(ended) => ended,
                Err(_) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        }
        // hyper's timeout covers the head of a request, but not the first bytes, which tell HTTP/1.1 from HTTP/2.
        () = silent_until(deadline, &begun) => {
            tracing::debug!("connection: no request within {} ms", silence.as_millis());
            return;
        }
    };
    if let Err(error) = ended {
        tracing::debug!("connection: {error}"); // usually a client that disconnected
    }
}

/// Returns at `deadline` if no request has arrived by then; otherwise never.
async fn silent_until(deadline: Instant, begun: &AtomicBool) {
    tokio::time::sleep_until(deadline).await;
    if begun.load(Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Waits for the first byte. A connection that was accepted just before `stop` may have a request on the way, and
/// hyper's graceful shutdown would close it unread. So it gets a little longer; if it stays silent, it was opened in
/// advance.
async fn has_spoken(
    stream: &TcpStream,
    stop: &CancellationToken,
    deadline: Instant,
    last_word: Duration,
) -> bool {
    let mut first = [0];
    tokio::select! {
        peeked = stream.peek(&mut first) => return peeked.is_ok_and(|read| read > 0),
        () = stop.cancelled() => {}
        () = tokio::time::sleep_until(deadline) => return false,
    }
    let peeked = tokio::time::timeout(last_word, stream.peek(&mut first)).await;
    matches!(peeked, Ok(Ok(1)))
}

//! Accepts connections and speaks HTTP/1.1 or HTTP/2 on each, until it is stopped; then lets them finish.
//!
//! Limits how many sockets clients may open and how long each may be silent. The same in development and in production;
//! the caller passes a function that answers requests.
//!
//! A separate crate, because most of the host's work per request is here: the dev profile optimizes this crate but not
//! the host, which is compiled again after every change of `shared` and must compile fast. So this crate depends on
//! neither, and nothing public in it is generic, since generic functions are compiled in the crate that uses them.

mod tether;

#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{body::Body, http::Response};
use futures_util::future::BoxFuture;
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub use tether::Tether;
use tether::Tethered;

/// A function that answers a request.
pub type Answer =
    Arc<dyn Fn(Request<Incoming>, Tether) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// The limits for clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many sockets may be open at once, including WebSockets. Further clients wait in the kernel's queue.
    pub connections: usize,
    /// How long a connection may take to send the head of its next request. An HTTP/2 connection may be idle between
    /// requests; for it this is how long the client may take to answer a keep-alive ping.
    pub silence: Duration,
    /// How long running requests may continue after `stop`.
    pub drain: Duration,
}

/// How long to wait after `accept` has failed, usually because there are no file descriptors left, which is temporary.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a silent connection may take to begin its request after `stop`.
const LAST_WORD: Duration = Duration::from_millis(100);

/// Serves until `stop`, then accepts no more connections and gives running requests `limits.drain` to finish.
///
/// The listener stays open: clients that connect after `stop` wait in the kernel's queue for the next process.
/// Returns how many connections were cut off at the deadline.
pub async fn serve(
    listener: &TcpListener,
    answer: Answer,
    stop: CancellationToken,
    limits: Limits,
) -> usize {
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let mut told = false;
    loop {
        // Warn only once: a full server usually stays full for a while.
        if places.available_permits() == 0 && !std::mem::replace(&mut told, true) {
            tracing::warn!(
                "{} connections are open (HTTP_MAX_CONNECTIONS): further clients wait for one of them to close",
                limits.connections
            );
        }
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = next(listener, &places) => match accepted {
                Ok((stream, place)) => {
                    connections.spawn(connection(stream, place, answer.clone(), stop.clone(), limits.silence));
                }
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            // Remove finished tasks, or the set would grow with every connection.
            Some(_) = connections.join_next() => {}
        }
    }

    let finished = async { while connections.join_next().await.is_some() {} };
    // Dropping the set at the end of this function cuts off what is left.
    match tokio::time::timeout(limits.drain, finished).await {
        Ok(()) => 0,
        Err(_) => connections.len(),
    }
}

/// Accepts the next connection, once there is a permit for it. Cancel-safe.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await;
    let place = place.expect("nobody closes the semaphore");
    Ok((listener.accept().await?.0, place))
}

async fn connection(
    stream: TcpStream,
    place: OwnedSemaphorePermit,
    answer: Answer,
    stop: CancellationToken,
    silence: Duration,
) {
    let deadline = Instant::now() + silence;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("TCP_NODELAY: {error}"); // only makes answers slower
    }
    if !has_spoken(&stream, &stop, deadline).await {
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
    let begins = begun.clone();
    let service = service_fn(move |request| {
        begins.store(true, Relaxed);
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
            connection.as_mut().graceful_shutdown();
            connection.await
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
async fn has_spoken(stream: &TcpStream, stop: &CancellationToken, deadline: Instant) -> bool {
    let mut first = [0];
    tokio::select! {
        peeked = stream.peek(&mut first) => return peeked.is_ok_and(|read| read > 0),
        () = stop.cancelled() => {}
        () = tokio::time::sleep_until(deadline) => return false,
    }
    let peeked = tokio::time::timeout(LAST_WORD, stream.peek(&mut first)).await;
    matches!(peeked, Ok(Ok(1)))
}

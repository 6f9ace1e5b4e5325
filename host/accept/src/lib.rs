//! Accepts connections and speaks HTTP/1.1 or HTTP/2 on each, until told to stop; then lets them finish.
//!
//! Owns what a client may take of the process: how many sockets, and how long each of them may say nothing.
//! The same in development and in production; what answers is given as a function. A crate of its own, because each
//! request spends most of its time in the host in here: the dev profile optimizes this crate, and leaves the host,
//! which is compiled again after every change of `shared`, to compile fast. So it knows neither of them, and
//! nothing in it is generic: a generic function is compiled where it is used.

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

/// What answers a request.
pub type Answer =
    Arc<dyn Fn(Request<Incoming>, Tether) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// What clients may take of the process.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sockets open at once, WebSockets included. Further clients wait in the kernel's queue.
    pub connections: usize,
    /// How long a connection may take to send the head of its next request. Over HTTP/2, which may rest between two
    /// requests: how long the other end may take to show that it is still there.
    pub silence: Duration,
    /// How long requests under way may go on after `stop`.
    pub drain: Duration,
}

/// How long to wait after `accept` failed: out of file descriptors, most often, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a silent connection may take to begin its request once we are to stop.
const LAST_WORD: Duration = Duration::from_millis(100);

/// Serves until `stop`, then accepts no more and gives requests under way `limits.drain` to finish.
///
/// The listener stays open: whoever connects after `stop` waits in the kernel's queue for the next process.
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
        // Once: a server that is full stays so for a while.
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
            // Reaps as it goes, or the set would grow with every connection ever made.
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

/// The next connection, once there is a place for it. Cancel-safe.
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
        tracing::debug!("TCP_NODELAY: {error}"); // slower answers, nothing else
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
        // First: what has arrived is read before `stop` is looked at, and counts as under way.
        biased;
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        // hyper bounds the head of a request, and not the bytes by which it tells HTTP/1.1 from HTTP/2.
        () = silent_until(deadline, &begun) => {
            tracing::debug!("connection: no request within {} ms", silence.as_millis());
            return;
        }
    };
    if let Err(error) = ended {
        tracing::debug!("connection: {error}"); // a client that went away, as a rule
    }
}

/// Returns at `deadline` if no request has arrived by then; else never.
async fn silent_until(deadline: Instant, begun: &AtomicBool) {
    tokio::time::sleep_until(deadline).await;
    if begun.load(Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Waits for the first byte. A connection that was accepted just before `stop` may have its request on the way, and
/// hyper closes one of which it has read nothing; one that stays silent was opened in advance.
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

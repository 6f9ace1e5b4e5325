//! Accepts connections and speaks HTTP/1.1 or HTTP/2 on each, until told to stop; then lets them finish.
//!
//! The same in development and in production; what answers is given as a function. A crate of its own, because each
//! request spends most of its time in the host in here: the dev profile optimizes this crate, and leaves the host,
//! which is compiled again after every change of `shared`, to compile fast. So it knows neither of them, and
//! nothing in it is generic: a generic function is compiled where it is used.

mod tether;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{body::Body, http::Response};
use futures_util::future::BoxFuture;
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

pub use tether::Tether;
use tether::Tethered;

/// What answers a request.
pub type Answer =
    Arc<dyn Fn(Request<Incoming>, Tether) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// How long to wait after `accept` failed: out of file descriptors, most often, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a silent connection may take to begin its request once we are to stop.
const LAST_WORD: Duration = Duration::from_millis(100);

/// Serves until `stop`, then accepts no more and gives requests under way `drain` to finish.
///
/// The listener stays open: whoever connects after `stop` waits in the kernel's queue for the next process.
/// Returns how many connections were cut off at the deadline.
pub async fn serve(
    listener: &TcpListener,
    answer: Answer,
    stop: CancellationToken,
    drain: Duration,
) -> usize {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, answer.clone(), stop.clone()))),
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
    match tokio::time::timeout(drain, finished).await {
        Ok(()) => 0,
        Err(_) => connections.len(),
    }
}

async fn connection(stream: TcpStream, answer: Answer, stop: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("TCP_NODELAY: {error}"); // slower answers, nothing else
    }
    if !has_spoken(&stream, &stop).await {
        return;
    }
    let (stream, tether) = Tethered::new(stream);
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new());
    http.http2().timer(TokioTimer::new());

    let service = service_fn(move |request| {
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
    };
    if let Err(error) = ended {
        tracing::debug!("connection: {error}"); // a client that went away, as a rule
    }
}

/// Waits for the first byte. A connection that was accepted just before `stop` may have its request on the way, and
/// hyper closes one of which it has read nothing; one that stays silent was opened in advance.
async fn has_spoken(stream: &TcpStream, stop: &CancellationToken) -> bool {
    let mut first = [0];
    tokio::select! {
        peeked = stream.peek(&mut first) => return peeked.is_ok_and(|read| read > 0),
        () = stop.cancelled() => {}
    }
    let peeked = tokio::time::timeout(LAST_WORD, stream.peek(&mut first)).await;
    matches!(peeked, Ok(Ok(1)))
}

//! Accepts connections and speaks HTTP/1.1 or HTTP/2 on each, until told to stop; then lets them finish.
//!
//! The same in development and in production; what answers is given as a function.

use std::{convert::Infallible, time::Duration};

use axum::{body::Body, http::Response};
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

pub(crate) use super::tether::Tether;
use super::tether::Tethered;

/// How long to wait after `accept` failed: out of file descriptors, most often, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a silent connection may take to begin its request once we are to stop.
const LAST_WORD: Duration = Duration::from_millis(100);

/// Serves until `stop`, then accepts no more and gives requests under way `drain` to finish.
///
/// The listener stays open: whoever connects after `stop` waits in the kernel's queue for the next process.
/// Returns how many connections were cut off at the deadline.
pub(crate) async fn serve<F, Answer>(
    listener: &TcpListener,
    answer: F,
    stop: CancellationToken,
    drain: Duration,
) -> usize
where
    F: Fn(Request<Incoming>, Tether) -> Answer + Clone + Send + 'static,
    Answer: Future<Output = Response<Body>> + Send + 'static,
{
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

async fn connection<F, Answer>(stream: TcpStream, answer: F, stop: CancellationToken)
where
    F: Fn(Request<Incoming>, Tether) -> Answer,
    Answer: Future<Output = Response<Body>> + Send + 'static,
{
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

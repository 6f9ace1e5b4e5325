//! Accepts connections and speaks HTTP/1.1 or HTTP/2 on each, until it is stopped; then lets them finish.
//!
//! Limits how many sockets clients may open and how long each may be silent. The same in development and in production;
//! the caller passes a function that answers requests.
//!
//! A separate crate, because most of the host's work per request is here: the dev profile optimizes this crate but not
//! the host, which is compiled again after every change of `shared` and must compile fast. So this crate depends on
//! neither, and nothing public in it is generic, since generic functions are compiled in the crate that uses them.

mod connection;
mod places;
mod tether;

#[cfg(test)]
mod tests;

use std::{io, sync::Arc, time::Duration};

use axum::{body::Body, http::Response};
use futures_util::future::BoxFuture;
use hyper::{Request, body::Incoming};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::OwnedSemaphorePermit,
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use connection::connection;
pub use places::Places;
pub use tether::Tether;

/// A function that answers a request.
pub type Answer =
    Arc<dyn Fn(Request<Incoming>, Tether) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// The limits for clients.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many sockets may be open at once, including WebSockets. Further clients wait in the kernel's queue.
    pub places: Places,
    /// How long a connection may take to send the head of its next request. An HTTP/2 connection may be idle between
    /// requests; for it this is how long the client may take to answer a keep-alive ping.
    pub silence: Duration,
    /// How long running requests may continue after `stop`.
    pub drain: Duration,
    /// How long a connection that is idle at `stop` may take to send one more request, which its client may have sent
    /// already. Not needed for HTTP/2, where GOAWAY says which requests are still answered.
    pub idle: Duration,
    /// Whether sockets that have left HTTP (WebSockets) may continue for `drain` too. Otherwise their end is the caller's
    /// to wait for.
    pub upgraded: bool,
}

/// How long to wait after `accept` has failed, usually because there are no file descriptors left, which is temporary.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a silent connection may take to begin its request after `stop`, at least, and the kernel to hand over another one.
const LAST_WORD: Duration = Duration::from_millis(100);

/// How long the kernel's queue is emptied while further clients can come: under load that has no end.
const QUEUE_LIMIT: Duration = Duration::from_secs(1);

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
    let drain = limits.drain;
    let mut server = Server::new(answer, stop, limits);
    server.accept(listener).await;
    server.finish(Instant::now() + drain).await
}

/// The same where no process takes the listener over: clients that the kernel has accepted by `stop` are answered, and
/// then the listener is closed. `refuse` keeps further ones out; without it, one that connects between the last look
/// into the queue and the close would be cut off.
pub async fn serve_and_close(
    listener: TcpListener,
    answer: Answer,
    stop: CancellationToken,
    limits: Limits,
    refuse: fn(&TcpListener) -> io::Result<()>,
) -> usize {
    let drain = limits.drain;
    let mut server = Server::new(answer, stop, limits);
    server.accept(&listener).await;
    let deadline = Instant::now() + drain;
    let queue_deadline = match refuse(&listener) {
        Ok(()) => deadline,
        Err(error) => {
            tracing::debug!("cannot keep further clients out: {error}");
            deadline.min(Instant::now() + QUEUE_LIMIT)
        }
    };
    server.empty_queue(&listener, queue_deadline).await;
    drop(listener);
    server.finish(deadline).await
}

struct Server {
    connections: JoinSet<()>,
    answer: Answer,
    stop: CancellationToken,
    limits: Limits,
}

impl Server {
    fn new(answer: Answer, stop: CancellationToken, limits: Limits) -> Self {
        Self {
            connections: JoinSet::new(),
            answer,
            stop,
            limits,
        }
    }

    /// Until `stop`.
    async fn accept(&mut self, listener: &TcpListener) {
        let mut told = false;
        loop {
            // Warn only once: a full server usually stays full for a while.
            if self.limits.places.are_taken() && !std::mem::replace(&mut told, true) {
                tracing::warn!(
                    "{} connections are open ({}): further clients wait for one of them to close",
                    self.limits.places.limit(),
                    self.limits.places.name()
                );
            }
            tokio::select! {
                () = self.stop.cancelled() => break,
                accepted = next(listener, &self.limits.places) => match accepted {
                    Ok((stream, place)) => self.spawn(stream, place),
                    Err(error) => {
                        tracing::warn!("cannot accept a connection: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                // Remove finished tasks, or the set would grow with every connection.
                Some(_) = self.connections.join_next() => {}
            }
        }
    }

    /// Takes what the kernel has accepted, until nothing has come for as long as an idle connection would be kept: a
    /// handshake that has begun may need a round trip to a distant client.
    async fn empty_queue(&mut self, listener: &TcpListener, deadline: Instant) {
        let patience = self.limits.idle.max(LAST_WORD);
        loop {
            let place = self.limits.places.free();
            let Ok(place) = tokio::time::timeout_at(deadline, place).await else {
                return;
            };
            match tokio::time::timeout(patience, listener.accept()).await {
                Ok(Ok((stream, _))) => self.spawn(stream, place),
                Ok(Err(error)) => {
                    // Such as a client that has left; without descriptors, the requests that end free some.
                    tracing::debug!("cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                Err(_) => return,
            }
            if Instant::now() >= deadline {
                return;
            }
        }
    }

    fn spawn(&mut self, stream: TcpStream, place: OwnedSemaphorePermit) {
        let (answer, stop) = (self.answer.clone(), self.stop.clone());
        let (silence, idle) = (self.limits.silence, self.limits.idle);
        let place = self.limits.places.take(place);
        let connection = connection(stream, place, answer, stop, silence, idle);
        self.connections.spawn(connection);
    }

    async fn finish(mut self, deadline: Instant) -> usize {
        let Limits {
            places, upgraded, ..
        } = self.limits;
        let finished = async {
            while self.connections.join_next().await.is_some() {}
            if upgraded {
                places.all_free().await;
            }
        };
        // Dropping the set at the end of this function cuts off what is left; the end of the process, what is upgraded.
        match tokio::time::timeout_at(deadline, finished).await {
            Ok(()) => 0,
            Err(_) if upgraded => places.open(),
            Err(_) => self.connections.len(),
        }
    }
}

/// Accepts the next connection, once there is a permit for it. Cancel-safe.
async fn next(
    listener: &TcpListener,
    places: &Places,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.free().await;
    Ok((listener.accept().await?.0, place))
}

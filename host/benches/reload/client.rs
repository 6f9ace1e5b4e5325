//! A client with one connection that it keeps: for asking until the new code answers, and for as much as it can.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::body::{Body, Bytes, to_bytes};
use hyper::{Request, StatusCode, client::conn::http1::SendRequest, header::HOST};
use hyper_util::rt::TokioIo;
use shared::BoxError;
use tokio::net::TcpStream;

/// For one answer: longer than anything here takes.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// For the new code to answer once it is built. hot-lib-reloader looks again after half a second.
const LIVE_LIMIT: Duration = Duration::from_secs(20);

const PAUSE: Duration = Duration::from_millis(1);

/// One connection, kept alive.
pub(crate) struct Connection {
    address: SocketAddr,
    sender: SendRequest<Body>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, BoxError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the sender, or with an error that the sender is told.
        tokio::spawn(connection);
        Ok(Self { address, sender })
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<(StatusCode, Bytes), BoxError> {
        tokio::time::timeout(ANSWER_LIMIT, self.answer(path))
            .await
            .map_err(|_| format!("waited {} s for {path}", ANSWER_LIMIT.as_secs()))?
    }

    async fn answer(&mut self, path: &str) -> Result<(StatusCode, Bytes), BoxError> {
        self.sender.ready().await?;
        let request = Request::get(path)
            .header(HOST, self.address.to_string())
            .body(Body::empty())?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = to_bytes(Body::new(response.into_body()), usize::MAX).await?;
        Ok((status, body))
    }

    /// An answer that must be a good one.
    pub(crate) async fn get_ok(&mut self, path: &str) -> Result<Bytes, BoxError> {
        let (status, body) = self.get(path).await?;
        if status.is_success() {
            return Ok(body);
        }
        let said = String::from_utf8_lossy(&body);
        Err(format!("{path} was answered with {status}: {said}").into())
    }
}

/// Asks `path` each millisecond until a good answer holds `marker`: then it is the new code's. Whatever else comes
/// meanwhile (the old code's answers, no server at all) is no news.
pub(crate) async fn until_answered(
    address: SocketAddr,
    connection: &mut Option<Connection>,
    path: &str,
    marker: &str,
) -> Result<(), BoxError> {
    let since = Instant::now();
    loop {
        if connection.is_none() {
            *connection = Connection::open(address).await.ok();
        }
        if let Some(open) = connection {
            match open.get(path).await {
                Ok((status, body)) => {
                    let body = String::from_utf8_lossy(&body);
                    if status.is_success() && body.contains(marker) {
                        return Ok(());
                    }
                    if since.elapsed() > LIVE_LIMIT {
                        let limit = LIVE_LIMIT.as_secs();
                        let what = format!("`{marker}` from {path}; {status} came: {body}");
                        return Err(format!("waited {limit} s for {what}").into());
                    }
                }
                Err(_) => *connection = None,
            }
        }
        if since.elapsed() > LIVE_LIMIT {
            return Err(format!("waited {} s for {address}", LIVE_LIMIT.as_secs()).into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

//! Asks the app as a client would, through the dev server's own address.
//!
//! Reaches the app alone, and follows no redirect.

use std::{io::Read, net::SocketAddr, time::Duration};

use axum::http::{HeaderMap, Request, StatusCode};
use ureq::Agent;

/// For the whole answer.
const LIMIT: Duration = Duration::from_secs(30);

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Its beginning.
    pub(super) body: Vec<u8>,
    pub(super) is_cut: bool,
}

/// Sends a request whose URI is a path of the app, and reads no more of the answer than `most` bytes. Ends with the limit,
/// even if the caller is gone.
pub(super) async fn send(
    address: SocketAddr,
    request: Request<Vec<u8>>,
    most: usize,
) -> Result<Answer, String> {
    let path = request.uri().path();
    if path == "/__dev" || path.starts_with("/__dev/") {
        return Err("the dev server answers there, and not the app".to_owned());
    }
    let asked = tokio::task::spawn_blocking(move || ask(address, request, most));
    asked.await.map_err(|error| error.to_string())?
}

fn ask(address: SocketAddr, request: Request<Vec<u8>>, most: usize) -> Result<Answer, String> {
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(LIMIT))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .allow_non_standard_methods(true)
        .proxy(None)
        .build()
        .into();
    let (mut parts, body) = request.into_parts();
    let url = format!("http://{}{}", reachable(address), parts.uri);
    parts.uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
    // A request without a body says nothing of its length.
    let answered = match body.is_empty() {
        true => agent.run(Request::from_parts(parts, ())),
        false => agent.run(Request::from_parts(parts, body)),
    };
    let mut answer = answered.map_err(|error| error.to_string())?;
    let (mut body, mut reader) = (
        Vec::new(),
        answer.body_mut().as_reader().take(most as u64 + 1),
    );
    // A stream may have no end: what has come until then is shown.
    let is_cut = reader.read_to_end(&mut body).is_err() || body.len() > most;
    body.truncate(most);
    Ok(Answer {
        status: answer.status(),
        headers: answer.headers().clone(),
        body,
        is_cut,
    })
}

/// Where this machine reaches a server that listens there.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address {
        SocketAddr::V4(it) if it.ip().is_unspecified() => [127, 0, 0, 1].into(),
        SocketAddr::V6(it) if it.ip().is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        address => address.ip(),
    };
    SocketAddr::new(ip, address.port())
}

//! `send_request`: asks the app as a client would, through the dev server's own address.
//!
//! Reaches the app alone, and follows no redirect.

use std::{collections::BTreeMap, io::Read, net::SocketAddr, time::Duration};

use axum::http::{Method, Request, header::HeaderMap};
use rmcp::{
    handler::server::router::tool::ToolRoute,
    schemars::{self, JsonSchema},
};
use serde::Deserialize;
use serde_json::{Value, json};
use ureq::Agent;

use super::{
    Mcp,
    tool::{Answer, Effect, tool},
};

/// For the whole answer.
const LIMIT: Duration = Duration::from_secs(30);

const USUAL: usize = 16 << 10;
const MOST: usize = 256 << 10;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sent {
    /// GET unless given.
    method: Option<String>,
    /// Path and query: `/api/notes?page=2`.
    path: String,
    /// By name. A body needs its `content-type`.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    /// How much of the answer's body to return: 16384 unless given, and no more than 262144.
    max_bytes: Option<usize>,
}

pub(super) fn tools() -> Vec<ToolRoute<Mcp>> {
    vec![tool(
        ("send_request", Effect::OfTheApp),
        "Sends an HTTP request to the app, and returns status, headers and the beginning of the body, as any client \
         would get them: nothing is masked, and redirects are not followed. `request` is its number: read with \
         request what it did. While a build runs, the code before it answers: call wait_until_live first.",
        send_request,
    )]
}

async fn send_request(mcp: Mcp, sent: Sent) -> Answer {
    if !sent.path.starts_with('/') || sent.path.split(['?', '#']).next().is_some_and(is_ours) {
        return Err("`path` is a path of the app, and begins with /".to_owned());
    }
    let address = mcp.sources.host.address;
    // It ends with its limit, even if the client is gone.
    let asked = tokio::task::spawn_blocking(move || ask(address, &sent));
    asked.await.map_err(|error| error.to_string())?
}

/// Whether the dev server answers there, and not the app.
fn is_ours(path: &str) -> bool {
    path == "/__dev" || path.starts_with("/__dev/")
}

fn ask(address: SocketAddr, sent: &Sent) -> Answer {
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(LIMIT))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .allow_non_standard_methods(true)
        .proxy(None)
        .build()
        .into();
    let method = sent.method.as_deref().unwrap_or("GET").to_uppercase();
    let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
    let mut request = Request::builder().method(method).uri(format!(
        "http://{}{}",
        reachable(address),
        sent.path
    ));
    for (name, value) in &sent.headers {
        request = request.header(name, value);
    }
    let answered = match &sent.body {
        Some(body) => agent.run(
            request
                .body(body.as_str())
                .map_err(|error| error.to_string())?,
        ),
        None => agent.run(request.body(()).map_err(|error| error.to_string())?),
    };
    let mut answer = answered.map_err(|error| error.to_string())?;
    let most = sent.max_bytes.unwrap_or(USUAL).min(MOST);
    let (mut body, mut reader) = (
        Vec::new(),
        answer.body_mut().as_reader().take(most as u64 + 1),
    );
    // A stream may have no end: what has come until then is shown.
    let cut = reader.read_to_end(&mut body).is_err() || body.len() > most;
    body.truncate(most);
    let headers = answer.headers();
    Ok(json!({
        "status": answer.status().as_u16(),
        "headers": headers.iter().map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])).collect::<Value>(),
        "body": String::from_utf8_lossy(&body),
        "body_is_cut": cut,
        "request": number(headers),
    }))
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

/// The number of the request, which the gateway has added last. `None`: nothing is recorded.
fn number(headers: &HeaderMap) -> Option<u64> {
    let timing = headers.get_all("server-timing").iter().next_back()?;
    let (_, rest) = timing.to_str().ok()?.split_once("id;desc=\"")?;
    rest.split('"').next()?.parse().ok()
}

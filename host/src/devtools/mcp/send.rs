//! `send_request`: asks the app.

use std::collections::BTreeMap;

use axum::http::Request;
use rmcp::{
    handler::server::router::tool::ToolRoute,
    schemars::{self, JsonSchema},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Mcp,
    tool::{Answer, Effect, tool},
};
use crate::{devtools::client, server::request_number};

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
    if !sent.path.starts_with('/') {
        return Err("`path` is a path of the app, and begins with /".to_owned());
    }
    let method = sent
        .method
        .unwrap_or_else(|| "GET".to_owned())
        .to_uppercase();
    let mut request = Request::builder().method(method.as_bytes()).uri(&sent.path);
    for (name, value) in &sent.headers {
        request = request.header(name, value);
    }
    let request = request.body(sent.body.unwrap_or_default().into_bytes());
    let request = request.map_err(|error| error.to_string())?;
    let most = sent.max_bytes.unwrap_or(USUAL).min(MOST);
    let answer = client::send(mcp.sources.host.address, request, most).await?;
    Ok(json!({
        "status": answer.status.as_u16(),
        "headers": answer.headers.iter().map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])).collect::<Value>(),
        "body": String::from_utf8_lossy(&answer.body),
        "body_is_cut": answer.is_cut,
        "request": request_number(&answer.headers),
    }))
}

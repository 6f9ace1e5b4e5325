//! `requests` and `request`: what was asked of the app, and all that it did then.

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
use crate::devtools::requests::{
    list::{self, Filter},
    shown,
};

const USUAL: usize = 30;

/// How many events of a request are told at once: more would fill a model's memory.
const EVENTS: usize = 100;

#[derive(Deserialize, JsonSchema)]
struct List {
    #[serde(flatten)]
    filter: Filter,
    /// How many at most, newest first; 30 unless given.
    limit: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct One {
    /// The number of the request: `id` in requests, `request` in send_request.
    id: u64,
    /// How many events to leave out at the beginning: only 100 are returned at once.
    #[serde(default)]
    skip: usize,
}

pub(super) fn tools() -> Vec<ToolRoute<Mcp>> {
    vec![
        tool(
            ("requests", Effect::None),
            "The last requests to the app, newest first: path, status, time, number of SQL statements, panic or \
             database error. `n_plus_1` marks one that ran a query for each row of another. Read one with request.",
            requests,
        ),
        tool(
            ("request", Effect::None),
            "All that one request did, in order of time: `events` are its SQL statements (text, parameters, rows, \
             error, place in the source), waits for the connection, and lines of the log; also where its time went, \
             repeated statements, headers and the beginnings of both bodies. Values that are named like secrets are ***.",
            request,
        ),
    ]
}

async fn requests(mcp: Mcp, asked: List) -> Answer {
    let all = mcp.sources.requests.all();
    let wanted = all.iter().filter(|request| asked.filter.wants(request));
    let wanted = wanted.take(asked.limit.unwrap_or(USUAL));
    Ok(json!(
        wanted
            .map(|request| list::entry(request))
            .collect::<Vec<_>>()
    ))
}

async fn request(mcp: Mcp, asked: One) -> Answer {
    let found = mcp.sources.requests.find(asked.id);
    let found = found
        .ok_or("this request is not kept: only the last ones are, until the dev server restarts")?;
    let mut document = shown::document(&found);
    if let Value::Array(events) = &mut document["events"] {
        events.drain(..asked.skip.min(events.len()));
        let more = events.len().saturating_sub(EVENTS);
        events.truncate(EVENTS);
        document["more_events"] = more.into();
    }
    Ok(document)
}

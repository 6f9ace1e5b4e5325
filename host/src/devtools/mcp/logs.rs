//! `logs`: the last lines of the log, and what browsers have reported.

use rmcp::{
    handler::server::router::tool::ToolRoute,
    schemars::{self, JsonSchema},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Mcp,
    tool::{Answer, Effect, tool},
};
use crate::{
    devtools::logs::{filter::Filter, list::entry},
    logs,
};

const USUAL: usize = 50;
const MOST: usize = 500;

#[derive(Deserialize, JsonSchema)]
struct Asked {
    #[serde(flatten)]
    filter: Filter,
    /// How many lines at most: 50 unless given, and no more than 500.
    limit: Option<usize>,
}

pub(super) fn tools() -> Vec<ToolRoute<Mcp>> {
    vec![tool(
        ("logs", Effect::None),
        "The last lines of the log, newest first: of the app, of the dev server, and errors that pages of the app have \
         had in a browser. Each with level, message, module, place in the source, generation, and `request`, the \
         number of the request that wrote it: request shows it with everything around it. RUST_LOG decides what is \
         logged.",
        logs,
    )]
}

async fn logs(_: Mcp, asked: Asked) -> Answer {
    let (all, most) = (logs::all(), asked.limit.unwrap_or(USUAL).min(MOST));
    let wanted = asked.filter.select(&all).into_iter().take(most);
    Ok(json!(wanted.map(entry).collect::<Vec<_>>()))
}

//! `logs`: what requests have logged.

use rmcp::{
    handler::server::router::tool::ToolRoute,
    schemars::{self, JsonSchema},
};
use serde::Deserialize;
use serde_json::json;
use shared::db::trace::What;

use super::{
    Mcp,
    tool::{Answer, Effect, tool},
};

const USUAL: usize = 100;
const MOST: usize = 1000;

/// The worst first.
const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// This level and worse: error, warn, info, debug or trace. All unless given.
    #[serde(default)]
    level: Level,
    /// A part of the message or of the module.
    #[serde(default)]
    text: String,
    /// Only of this request, by its number.
    request: Option<u64>,
    /// How many lines at most, 100 unless given.
    limit: Option<usize>,
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    #[default]
    Trace,
}

pub(super) fn tools() -> Vec<ToolRoute<Mcp>> {
    vec![tool(
        ("logs", Effect::None),
        "Lines that requests have logged, newest first: level, message, module, place in the source, and `request`, \
         the number of the request, which request shows with everything around the line. RUST_LOG decides what is \
         logged.",
        logs,
    )]
}

async fn logs(mcp: Mcp, asked: Asked) -> Answer {
    let mut lines = Vec::new();
    let most = asked.limit.unwrap_or(USUAL).min(MOST);
    for request in mcp.sources.requests.all() {
        if asked.request.is_some_and(|id| id != request.id) {
            continue;
        }
        for event in request.recorded().events.iter().rev() {
            let What::Log(line) = &event.what else {
                continue;
            };
            let is_wanted = LEVELS[..=asked.level as usize].contains(&line.level)
                && (line.message.contains(&asked.text) || line.target.contains(&asked.text));
            if is_wanted && lines.len() < most {
                lines.push(json!({
                    "level": line.level,
                    "message": line.message,
                    "target": line.target,
                    "at": line.at.as_ref().map(|(file, line)| format!("{file}:{line}")),
                    "request": request.id,
                }));
            }
        }
    }
    Ok(json!(lines))
}

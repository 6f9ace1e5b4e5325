//! `status` and `errors`: how the dev server is, and what is wrong.

use rmcp::handler::server::router::tool::ToolRoute;
use serde_json::{Value, json};

use super::{
    Mcp,
    tool::{Answer, Effect, Nothing, tool},
};
use crate::{
    devtools::logs::{
        filter::{Filter, Level},
        list::entry,
    },
    events::Build,
    logs,
    server::ServedRequest,
};

/// The parts of `status.json` that tell a model how things are.
const PARTS: [&str; 11] = [
    "health",
    "phase",
    "generation",
    "build",
    "last_reload",
    "schema",
    "db",
    "generations",
    "address",
    "root",
    "uptime_s",
];

/// How many failed requests are told, and how many lines of the log.
const TOLD: usize = 10;

pub(super) fn tools() -> Vec<ToolRoute<Mcp>> {
    vec![
        tool(
            ("status", Effect::None),
            "How the dev server is. `health.trouble` is what is wrong, with a remedy; null if nothing is. `phase` says \
             what happens now: starting, migrating, building, loading, active (the last save is live), build_failed, \
             load_failed, restarting. `generation` is the number of the running code; each reload makes a new one. \
             `db.backends` counts the connections to PostgreSQL. Use wait_until_live after a save instead of polling this.",
            status,
        ),
        tool(
            ("errors", Effect::None),
            "Everything that is wrong now: compiler errors and warnings with file, line and message, why a build was \
             not loaded, a failed migration, what is wrong in `.env`, the last requests that failed with 5xx, with the panic or the \
             database error behind each, and the last errors in the log, those of pages in a browser included. Read a \
             request with request.",
            errors,
        ),
    ]
}

async fn status(mcp: Mcp, _: Nothing) -> Answer {
    let all = serde_json::to_value(mcp.sources.document().await);
    let mut all = all.map_err(|error| error.to_string())?;
    let mut status: Value = PARTS.iter().map(|part| (*part, all[part].take())).collect();
    let build = mcp.sources.services.report.borrow().build.clone();
    status["build"] = as_text(&build);
    Ok(status)
}

async fn errors(mcp: Mcp, _: Nothing) -> Answer {
    let services = &mcp.sources.services;
    let requests = mcp.sources.requests.all();
    let failed = requests.iter().filter(|it| it.status.is_server_error());
    let failed: Vec<_> = failed.take(TOLD).map(|it| ServedRequest::of(it)).collect();
    let (log, filter) = (logs::all(), Filter::of(Level::Error));
    let lines: Vec<_> = filter
        .select(&log)
        .into_iter()
        .take(TOLD)
        .map(entry)
        .collect();
    let build = services.report.borrow().build.clone();
    let schema = services.schema.borrow().clone();
    Ok(json!({
        "health": &*services.health.borrow(),
        "build": as_text(&build),
        "settings_refused": services.settings.borrow().refused,
        "migrations": { "failure": schema.failure, "pending": schema.status.pending },
        "failed_requests": failed,
        "log": lines,
    }))
}

/// The build, with its messages as rustc prints them to a file.
pub(super) fn as_text(build: &Build) -> Value {
    let mut build = json!(build);
    for message in build["diagnostics"].as_array_mut().into_iter().flatten() {
        let rendered = message["rendered"].as_str().unwrap_or_default();
        message["rendered"] = anstream::adapter::strip_str(rendered).to_string().into();
    }
    build
}

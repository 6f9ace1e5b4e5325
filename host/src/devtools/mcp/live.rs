//! `wait_until_live`: whether what was just saved is what answers.
//!
//! A [cookie](crate::reload::Cookies) tells a state from before the save from one after it.

use std::time::Duration;

use rmcp::{
    handler::server::router::tool::ToolRoute,
    schemars::{self, JsonSchema},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Mcp,
    status::as_text,
    tool::{Answer, Effect, tool},
};
use crate::events::{Phase, Report};

/// Many clients give a tool a minute.
const USUAL: u64 = 45;
const LONGEST: u64 = 600;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wait {
    /// How many seconds to wait at most: 45 unless given, and no more than 600. Your client may give up earlier.
    #[serde(default = "usual")]
    timeout_s: u64,
}

fn usual() -> u64 {
    USUAL
}

pub(super) fn tools() -> Vec<ToolRoute<Mcp>> {
    vec![tool(
        ("wait_until_live", Effect::None),
        "Call this after saving files. Waits until everything saved before the call is dealt with, and returns \
         `outcome`: `live` (the new code answers: `generation` is its number, `last_reload` says which files made it; \
         a save that changes nothing keeps the number), `failed` (the code before it goes on serving: \
         `build.diagnostics` has file, line and message of each error, `build.refused` says why a build that compiles \
         did not start, `migrations.failure` which migration failed, \
         `settings_refused` what is wrong in `.env`) or `pending` (still running after `timeout_s`: \
         call again). `outage` is what else keeps the app from answering, such as a database that is down. Never answers for a state from before the save.",
        wait_until_live,
    )]
}

async fn wait_until_live(mcp: Mcp, asked: Wait) -> Answer {
    let services = &mcp.sources.services;
    let cookie = mcp.cookies.make();
    let cookie = cookie.map_err(|error| format!("cannot ask the watch, in .dev: {error}"))?;
    let mut report = services.report.clone();
    // If a newer save is already being built, this reports its result.
    let is_dealt_with = |report: &Report| report.dealt_with >= cookie.number && rests(report.phase);
    let limit = Duration::from_secs(asked.timeout_s.min(LONGEST));
    let dealt_with = tokio::time::timeout(limit, report.wait_for(is_dealt_with));
    let report = match dealt_with.await {
        Ok(Ok(report)) => Some(report.clone()),
        Ok(Err(_)) => return Err("the dev server ends".to_owned()),
        Err(_) => None,
    };
    let schema = services.schema.borrow().clone();
    let refused = services.settings.borrow().refused.clone();
    let outcome = match &report {
        None => "pending",
        Some(report) if report.phase == Phase::Active && !schema.differs() && refused.is_none() => {
            "live"
        }
        Some(_) => "failed",
    };
    // The rest of `health` is judged in a task of its own, a moment later.
    let outage = services.health.borrow().trouble.clone();
    let outage = outage.filter(|trouble| trouble.cause.is_outage());
    let report = report.unwrap_or_else(|| services.report.borrow().clone());
    Ok(json!({
        "outcome": outcome,
        "generation": services.generations.active_id(),
        "phase": report.phase,
        "outage": outage,
        "last_reload": report.last_reload,
        "build": as_text(&report.build),
        "settings_refused": refused,
        "migrations": { "failure": schema.failure, "pending": schema.status.pending },
    }))
}

/// Whether the loop waits for the next save.
fn rests(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::Active | Phase::BuildFailed | Phase::LoadFailed
    )
}

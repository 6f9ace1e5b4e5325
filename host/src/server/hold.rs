//! A page requested during a build waits for it, so that the user sees the code just saved.
//!
//! Only if the build is likely to end in time: otherwise the wait would use up the whole limit for nothing.

use std::time::Duration;

use tokio::{sync::watch, time::timeout};

use super::request_info::RequestInfo;
use crate::{
    database::SchemaState,
    events::{Phase, Report},
};

/// Waits, if this is a page and a build is under way. `true`: the build still runs, and the old code answers.
///
/// All waiters wake when the build ends, or as soon as it turns out to be a long one.
pub(super) async fn hold(
    info: &RequestInfo,
    report: &watch::Receiver<Report>,
    limit: Duration,
) -> bool {
    if !info.is_navigation() {
        return false;
    }
    let mut report = report.clone();
    let over = report.wait_for(|report| !is_worth_it(report, limit));
    match timeout(limit, over).await {
        Ok(Ok(report)) => is_under_way(report.phase),
        Ok(Err(_)) => false, // the host is ending
        Err(_) => true,
    }
}

/// Waits, if this is a page and a migration has just begun, until it is over or known to be slow. The app would
/// only wait for the connection, and could not tell why.
pub(super) async fn hold_for_a_migration(
    info: &RequestInfo,
    schema: &watch::Receiver<SchemaState>,
) {
    if info.is_navigation() {
        // An error means that the host is ending.
        drop(schema.clone().wait_for(|schema| !schema.is_new_run()).await);
    }
}

fn is_worth_it(report: &Report, limit: Duration) -> bool {
    let build = report.build.under_way;
    is_under_way(report.phase) && build.is_none_or(|build| build.is_likely_to_end_in(limit))
}

fn is_under_way(phase: Phase) -> bool {
    matches!(phase, Phase::Migrating | Phase::Building | Phase::Loading)
}

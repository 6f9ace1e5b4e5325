//! A page that is asked for during a build waits for it, so that the user sees the code just saved.
//!
//! Only for a build that is likely to end in time: to wait for another would cost the whole limit and bring nothing.

use std::time::Duration;

use tokio::{sync::watch, time::timeout};

use super::asked::Asked;
use crate::{
    dev::schema::SchemaState,
    reload::{Phase, Report},
};

/// Waits, if this is a page and a build is under way. `true`: it still is, and the old code answers.
///
/// Every waiter wakes with the one build, and as soon as that turns out to be a long one.
pub(super) async fn hold(asked: &Asked, report: &watch::Receiver<Report>, limit: Duration) -> bool {
    if !asked.is_navigation() {
        return false;
    }
    let mut report = report.clone();
    let over = report.wait_for(|report| !is_worth_it(report, limit));
    match timeout(limit, over).await {
        Ok(Ok(report)) => is_under_way(report.phase),
        Ok(Err(_)) => false, // the host ends
        Err(_) => true,
    }
}

/// Waits, if this is a page and a migration has just begun, until that is over or known to take long. The app would
/// wait for the connection, and could not say for what.
pub(super) async fn hold_for_a_migration(asked: &Asked, schema: &watch::Receiver<SchemaState>) {
    if asked.is_navigation() {
        // An error: the host ends.
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

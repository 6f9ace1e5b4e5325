//! A page that is asked for while a build is under way waits for it, so that the person sees the code just saved.

use std::time::Duration;

use tokio::{sync::watch, time::timeout};

use super::asked::Asked;
use crate::reload::{Phase, Report};

/// Waits, if this is a page and a build is under way. `true`: at the limit it still was, and the old code answers.
///
/// Every waiter wakes with the one build. Before the first generation there is no old code; whoever leases waits then.
pub(super) async fn hold(asked: &Asked, report: &watch::Receiver<Report>, limit: Duration) -> bool {
    if !is_under_way(report.borrow().phase) || !asked.is_navigation() {
        return false;
    }
    let mut report = report.clone();
    let settled = report.wait_for(|report| !is_under_way(report.phase));
    timeout(limit, settled).await.is_err()
}

fn is_under_way(phase: Phase) -> bool {
    matches!(phase, Phase::Migrating | Phase::Building | Phase::Loading)
}

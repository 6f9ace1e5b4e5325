//! Saves of `.env`: the watch notices them, the main loop applies them.

use std::sync::Arc;

use tokio::sync::watch;

/// Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct SettingsSaves {
    /// How many were noticed.
    saved: Arc<watch::Sender<u64>>,
    /// How many of them are applied, or refused.
    applied: Arc<watch::Sender<u64>>,
}

impl SettingsSaves {
    pub(super) fn notice(&self) {
        self.saved.send_modify(|saved| *saved += 1);
    }

    /// Waits for one that is not applied, and returns how many there are. Cancel-safe.
    pub(crate) async fn next(&self) -> u64 {
        let (mut saved, applied) = (self.saved.subscribe(), *self.applied.borrow());
        let next = saved.wait_for(|saved| *saved > applied).await;
        *next.expect("the sender is in `self`")
    }

    /// As many as [`next`](Self::next) has returned. Whatever must follow was asked for before.
    pub(crate) fn set_applied(&self, saves: u64) {
        self.applied.send_replace(saves);
    }

    pub(super) fn are_applied(&self) -> bool {
        *self.applied.borrow() >= *self.saved.borrow()
    }

    /// Cancel-safe.
    pub(super) async fn until_applied(&self) {
        let mut applied = self.applied.subscribe();
        let all = applied.wait_for(|applied| *applied >= *self.saved.borrow());
        all.await.expect("the sender is in `self`");
    }
}

//! The loop at rest: says how the app is, and waits for a save.

use futures_util::FutureExt;

use super::{Loop, state::IdleState};
use crate::events::{Images, Phase};

impl Loop {
    /// Waits for a save. Returns `Some` if the code of old generations exceeds the memory budget instead.
    pub(super) async fn wait(&mut self) -> Option<Images> {
        let Self {
            reload,
            watch,
            builder,
            ..
        } = self;
        let rest = match self.state.idle_state() {
            IdleState::Unbuilt => Phase::Starting,
            IdleState::DoesNotCompile => Phase::BuildFailed,
            IdleState::Refused => Phase::LoadFailed,
            IdleState::Live => Phase::Active,
        };
        let changes = loop {
            let (replays, settings) = (builder.is_warm(), &reload.notifiers.settings);
            let are_applied = settings.are_applied();
            // Settings that are applied by now may have asked for a build.
            if let Some(Some(changes)) = watch.next(&reload.notifiers.rebuild).now_or_never() {
                break changes;
            }
            let cookie = watch.cookie().filter(|_| are_applied);
            reload.report.send_if_modified(|report| {
                let before = (report.phase, report.replays, report.dealt_with);
                let dealt_with = cookie.unwrap_or(report.dealt_with);
                (report.phase, report.replays, report.dealt_with) = (rest, replays, dealt_with);
                before != (rest, replays, dealt_with)
            });
            tokio::select! {
                biased;
                changes = watch.next(&reload.notifiers.rebuild) => if let Some(changes) = changes {
                    break changes;
                },
                () = settings.until_applied(), if !are_applied => {}
                images = reload.over_budget() => return Some(images),
                () = builder.warm_up() => {}
            }
        };
        self.saved(changes);
        None
    }
}

//! Cuts off requests that hold the connection when nothing is gained by waiting for them.

use std::{pin::pin, sync::Arc, time::Duration};

use super::{Usage, UsageTracker};
use crate::{holder::CallSite, request::Request};

/// How long a request waits while a request of an older generation holds the connection alone. Then the older one is
/// cut off: after a save the user waits for the new code, and the old generation is ending anyway. The start of a
/// generation cuts no request off: it may fail, and then the older generation goes on serving.
const PATIENCE: Duration = Duration::from_secs(1);

impl UsageTracker {
    /// Waits for the connection. Requests of older generations that hold it alone are cut off after [`PATIENCE`].
    pub(crate) async fn turn<T>(&self, line: CallSite, wait: impl Future<Output = T>) -> T {
        let mut wait = pin!(wait);
        loop {
            match tokio::time::timeout(PATIENCE, &mut wait).await {
                Ok(turn) => return turn,
                Err(_) => self.cut_off_older(line),
            }
        }
    }

    fn cut_off_older(&self, line: CallSite) {
        let Some(me) = Request::current().filter(|me| me.is_of_a_client()) else {
            return;
        };
        for (by, held) in self.requests(|held| held.alone) {
            if by.generation() < me.generation() {
                cut_off(&by, || {
                    format!(
                        "{by} held the database connection alone at {held}, and {me} of the newer code has waited {} s for it at {line}",
                        PATIENCE.as_secs()
                    )
                });
            }
        }
    }

    /// Cuts off the requests that hold a checkout.
    pub(crate) fn cut_off_checkouts(&self, why: &str) {
        for (by, held) in self.requests(|held| held.checkout) {
            cut_off(&by, || {
                format!("{by} held the database connection alone at {held}: {why}")
            });
        }
    }

    /// The clients' requests of some uses, and their lines. Collected, since writing the log may block, and every use
    /// of the connection needs the lock.
    fn requests(&self, wanted: impl Fn(&Usage) -> bool) -> Vec<(Arc<Request>, CallSite)> {
        let state = self.state();
        let uses = state.uses.values().filter(|held| wanted(held));
        uses.filter_map(|held| Some((held.by.clone()?, held.line)))
            .filter(|(by, _)| by.is_of_a_client())
            .collect()
    }
}

fn cut_off(request: &Request, why: impl FnOnce() -> String) {
    request.cut_off(|| {
        let why = why();
        tracing::warn!("cut off: {why}");
        why
    });
}

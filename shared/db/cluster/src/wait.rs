//! Waits by polling, and reports what it waits for if that takes long.

use std::time::{Duration, Instant};

pub(super) const POLL: Duration = Duration::from_millis(1);

/// A longer wait is reported, and again after each further period of this length.
const LONG: Duration = Duration::from_secs(2);

/// Calls `ask` until it returns `Some`; `None` at the limit. Cancel-safe.
pub(super) async fn poll<T>(
    limit: Duration,
    on_wait: &mut dyn FnMut(String),
    describe: impl Fn() -> String,
    mut ask: impl FnMut() -> Option<T>,
) -> Option<T> {
    let since = Instant::now();
    let mut next_report = LONG;
    while since.elapsed() < limit {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if since.elapsed() > next_report {
            on_wait(describe());
            next_report += LONG;
        }
        tokio::time::sleep(POLL).await;
    }
    None
}

//! Waits for something that only looking tells, and says what it waits for once that takes long.

use std::time::{Duration, Instant};

pub(super) const POLL: Duration = Duration::from_millis(1);

/// A wait is worth a word after this, and again as often.
const LONG: Duration = Duration::from_secs(2);

/// Asks until there is an answer; `None` at the limit. Gives way to whoever ends the wait.
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

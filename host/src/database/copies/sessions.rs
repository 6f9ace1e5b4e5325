//! Ends the sessions of a database, which keep it from being copied or renamed.

use std::time::Duration;

use shared::{BoxError, db::describe};
use tokio::time::{Instant, sleep};

use super::Copies;

/// Those that do nothing, or all.
const END_SESSIONS: &str = "\
    SELECT pid, CASE WHEN $2 OR state IS NULL OR state = 'idle' THEN pg_terminate_backend(pid) END
    FROM pg_stat_activity WHERE datname = $1";

/// How long other sessions may take to finish their transactions, and then to end.
const GRACE: Duration = Duration::from_secs(10);
const END_LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(5);

impl Copies<'_> {
    /// Ends idle sessions at once, and others when they have had time to finish. PostgreSQL itself waits for sessions
    /// too, but in steps of 100 ms.
    pub(super) async fn end_sessions(&self, database: &str) -> Result<(), BoxError> {
        let since = Instant::now();
        loop {
            let all = since.elapsed() > GRACE;
            let sessions = self.client.query(END_SESSIONS, &[&database, &all]).await;
            let sessions = sessions.map_err(|error| describe(&error))?;
            let Some(session) = sessions.first() else {
                return Ok(());
            };
            if since.elapsed() > END_LIMIT {
                let pid: i32 = session.get(0);
                let limit = END_LIMIT.as_secs();
                return Err(format!(
                    "the backend with PID {pid} uses the database and has not ended within {limit} s: end its program"
                )
                .into());
            }
            sleep(PAUSE).await;
        }
    }
}

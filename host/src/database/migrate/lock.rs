//! An advisory lock with a fixed name: only one session at a time migrates a database.
//!
//! Knows how to name the session that has it. Does not end that session: it may be another host's, hard at work.

use std::time::Duration;

use shared::db::describe;
use tokio::time::Instant;
use tokio_postgres::{Client, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

use super::{MigrationFailure, stopped};

const LOCK: &str = "SELECT pg_try_advisory_lock(hashtext('host:migrate'))";
const UNLOCK: &str = "SELECT pg_advisory_unlock(hashtext('host:migrate'))";

/// The PID of the session that has the lock. A key of 64 bits is shown in halves, with 1 as the third column.
pub(crate) const LOCKERS: &str = "\
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (classid::bigint << 32) | objid::bigint = hashtext('host:migrate')";

/// The lock is polled instead of waited for: a session that waits for it holds a snapshot, and a CREATE INDEX
/// CONCURRENTLY in the session that has the lock would wait for that snapshot, which is a deadlock.
const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn take(
    client: &Client,
    stop: &CancellationToken,
) -> Result<(), MigrationFailure> {
    let since = Instant::now();
    loop {
        if stop.is_cancelled() {
            return Err(stopped());
        }
        let answer = client
            .simple_query(LOCK)
            .await
            .map_err(|error| MigrationFailure::new(None, describe(&error)))?;
        if first(&answer) == Some("t") {
            return Ok(());
        }
        if since.elapsed() > LIMIT {
            let message = format!(
                "another session has been migrating this database for {} s: {}; wait for it or end it",
                LIMIT.as_secs(),
                locker(client).await
            );
            return Err(MigrationFailure::new(None, message));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

pub(super) async fn release(client: &Client) {
    // Fails only if the connection is lost, which has released the lock.
    drop(client.batch_execute(UNLOCK).await);
}

async fn locker(client: &Client) -> String {
    let found = client.simple_query(&named(LOCKERS)).await;
    let found = found.unwrap_or_default();
    first(&found)
        .unwrap_or("one that has just ended")
        .to_owned()
}

/// A query that names the first of the sessions whose PIDs `pids` selects. A prepared transaction has no session.
pub(crate) fn named(pids: &str) -> String {
    format!(
        "SELECT concat('PID ', held.by, ' (', concat_ws(', ', nullif(application_name, ''), state, nullif(left(btrim(regexp_replace(query, '\\s+', ' ', 'g')), 80), '')), ')')
         FROM ({pids}) AS held (by) LEFT JOIN pg_stat_activity ON pid = held.by
         LIMIT 1"
    )
}

fn first(answer: &[SimpleQueryMessage]) -> Option<&str> {
    answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    })
}

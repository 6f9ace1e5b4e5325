//! Advisory locks: only one session at a time migrates a database. The host's own, and the one that sqlx takes.
//!
//! Knows how to name the session that has it. Does not end that session: it may be another host's, hard at work.

use std::time::Duration;

use shared_db::describe;
use tokio::time::Instant;
use tokio_postgres::{Client, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

use crate::style::Style;
use crate::{MigrationFailure, stopped};

/// The keys of the locks for migrations of this style, in the order in which they are taken.
pub async fn lock_keys(client: &Client, style: Style) -> Result<Vec<i64>, tokio_postgres::Error> {
    let asked = "SELECT hashtext('host:migrate')::bigint, current_database()::text";
    let row = client.query_one(asked, &[]).await?;
    let mut keys = vec![row.get(0)];
    if style == Style::Sqlx {
        keys.push(key_of_sqlx(row.get(1)));
    }
    Ok(keys)
}

/// As `generate_lock_id` of sqlx-postgres computes it, for sqlx's own tool and for `sqlx::migrate!`.
fn key_of_sqlx(database: &str) -> i64 {
    0x3d32_ad9e * i64::from(crc32fast::hash(database.as_bytes()))
}

/// Selects the PIDs of the sessions that have these locks. A key of 64 bits is shown in halves, with 1 as the third
/// column.
pub fn lockers(keys: &[i64]) -> String {
    let keys: Vec<_> = keys.iter().map(i64::to_string).collect();
    format!(
        "SELECT pid FROM pg_locks
         WHERE locktype = 'advisory' AND granted AND objsubid = 1
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND ((classid::bigint << 32) | objid::bigint) IN ({})",
        keys.join(", ")
    )
}

/// A lock is polled instead of waited for: a session that waits for it holds a snapshot, and a CREATE INDEX
/// CONCURRENTLY in the session that has the lock would wait for that snapshot, which is a deadlock.
const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn take(
    client: &Client,
    keys: &[i64],
    stop: &CancellationToken,
) -> Result<(), MigrationFailure> {
    let since = Instant::now();
    for key in keys {
        loop {
            if stop.is_cancelled() {
                return Err(stopped());
            }
            if try_take(client, *key).await? {
                break;
            }
            if since.elapsed() > LIMIT {
                let message = format!(
                    "another session has been migrating this database for {} s: {}; wait for it or end it",
                    LIMIT.as_secs(),
                    locker(client, *key).await
                );
                return Err(MigrationFailure::new(None, message));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

async fn try_take(client: &Client, key: i64) -> Result<bool, MigrationFailure> {
    let sql = format!("SELECT pg_try_advisory_lock({key})");
    let answer = client.simple_query(&sql).await;
    let answer = answer.map_err(|error| MigrationFailure::new(None, describe(&error)))?;
    Ok(first(&answer) == Some("t"))
}

/// Those of these that are held.
pub(super) async fn release(client: &Client, keys: &[i64]) {
    for key in keys.iter().rev() {
        // Fails only if the connection is lost, which has released the lock.
        drop(
            client
                .batch_execute(&format!("SELECT pg_advisory_unlock({key})"))
                .await,
        );
    }
}

async fn locker(client: &Client, key: i64) -> String {
    let found = client.simple_query(&named(&lockers(&[key]))).await;
    let found = found.unwrap_or_default();
    first(&found)
        .unwrap_or("one that has just ended")
        .to_owned()
}

/// A query that names the first of the sessions whose PIDs `pids` selects. A prepared transaction has no session.
pub fn named(pids: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_of_sqlx_is_that_of_the_database() {
        // 0x3d32ad9e times zlib's CRC-32 of the name.
        assert_eq!(key_of_sqlx("postgres"), 368_907_709_894_077_238);
    }
}

//! Finds the session whose lock another one waits for. Looks over its own connection, and only while the wait is slow.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicI32, Ordering::Relaxed},
    time::Duration,
};

use shared::{
    BoxError,
    db::{DatabaseUrl, connect},
    env::Env,
};
use shared_migrate::{self as migrate, Style};

/// A migration is slow from here on.
pub(super) const SLOW_AFTER: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Tells what the session `pid`, which applies migrations of this style, waits for, again and again, until this is
/// dropped. While `pid` is zero, it is not known.
pub(super) async fn watch_blocker(
    url: &DatabaseUrl,
    env: &Env,
    (pid, style): (&AtomicI32, Style),
    mut tell: impl FnMut(Option<String>),
) -> Infallible {
    loop {
        tokio::time::sleep(SLOW_AFTER).await;
        if let Err(error) = poll(url, env, (pid, style), &mut tell).await {
            tracing::debug!("looking what a migration waits for: {error}");
            tell(None);
        }
    }
}

async fn poll(
    url: &DatabaseUrl,
    env: &Env,
    (pid, style): (&AtomicI32, Style),
    tell: &mut impl FnMut(Option<String>),
) -> Result<(), BoxError> {
    let name = format!("host-watch:{}", std::process::id());
    let (client, connection) = connect(&env.db_config(url.clone(), name)).await?;
    // Ends with the client, when this function returns.
    tokio::spawn(async move { drop(connection.await) });
    let blocker = blocker(&migrate::lock_keys(&client, style).await?);
    loop {
        let blocker = client.query_opt(&blocker, &[&pid.load(Relaxed)]).await?;
        tell(blocker.map(|row| row.get(0)));
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The first session whose lock `$1` waits for. It polls for the locks that keep migrations apart, so that PostgreSQL
/// does not know of this wait.
fn blocker(keys: &[i64]) -> String {
    migrate::named(&format!(
        "SELECT unnest(pg_blocking_pids($1)) UNION ALL {} AND pid <> $1",
        migrate::lockers(keys)
    ))
}

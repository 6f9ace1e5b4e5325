//! The databases of tests on a server: named, made from a template, dropped.
//!
//! A name says when its database was made, so that one of a killed test is told from those in use.

use std::{
    process,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use shared::{
    BoxError,
    db::{DatabaseUrl, DbConfig, connect, describe},
};

const PREFIX: &str = "test_copy_";

/// No test runs for longer.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(2);

/// For one statement: a copy of a large template on a slow disk.
const LIMIT: Duration = Duration::from_mins(2);

/// A name that no other test has.
pub(crate) fn name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Relaxed);
    format!("{PREFIX}{}_{}_{number}", now(), process::id())
}

/// Runs SQL on a connection of its own.
///
/// # Errors
/// No connection, what PostgreSQL says, or no answer in two minutes.
pub(crate) async fn run(url: DatabaseUrl, sql: &str) -> Result<(), BoxError> {
    on_connection(url, async |client| {
        client
            .batch_execute(sql)
            .await
            .map_err(|error| describe(&error))?;
        Ok(())
    })
    .await
}

/// Uses a connection that ends with it.
///
/// # Errors
/// No connection, what `use_it` fails with, or no answer in two minutes.
pub(crate) async fn on_connection<T>(
    url: DatabaseUrl,
    use_it: impl AsyncFnOnce(&mut tokio_postgres::Client) -> Result<T, BoxError>,
) -> Result<T, BoxError> {
    let config = DbConfig::new(url, format!("shared_test:{}", process::id()));
    let used = async {
        let (mut client, connection) = connect(&config).await?;
        let driven = tokio::spawn(connection);
        let result = use_it(&mut client).await;
        drop(client);
        // The server has then let go of the database, which can be copied or dropped.
        drop(driven.await);
        result
    };
    let used = tokio::time::timeout(LIMIT, used).await;
    used.unwrap_or_else(|_| Err(format!("{} has not answered for two minutes", config.url).into()))
}

/// Drops what killed tests have left. Says what is in the way, and goes on: tests can do without it.
pub(crate) async fn drop_forgotten(server: DatabaseUrl) {
    let oldest = now().saturating_sub(FORGOTTEN_AFTER.as_secs());
    let dropped = on_connection(server, async |client| {
        let sql = "SELECT datname FROM pg_database WHERE starts_with(datname, $1)
            AND split_part(datname, '_', 3)::bigint < $2";
        let oldest = i64::try_from(oldest).unwrap_or(i64::MAX);
        let rows = client.query(sql, &[&PREFIX, &oldest]).await;
        for row in rows.map_err(|error| describe(&error))? {
            let name: String = row.get(0);
            let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            client
                .batch_execute(&sql)
                .await
                .map_err(|error| describe(&error))?;
        }
        Ok(())
    });
    if let Err(error) = dropped.await {
        eprintln!("tests: databases of killed tests cannot be dropped: {error}");
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

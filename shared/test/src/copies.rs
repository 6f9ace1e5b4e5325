//! The databases of tests on a server: named, made from a template, dropped.
//!
//! A name says when its database was made, and by which process: so a database that a killed test has left can be
//! recognized.

use std::{
    process,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use shared::{
    BoxError,
    db::{DatabaseUrl, DbConfig, connect, describe},
};

const PREFIX: &str = "shared_test_copy_";

/// Those with a name of ours.
const ALL: &str =
    "SELECT datname FROM pg_database WHERE datname ~ '^shared_test_copy_[0-9]+_[0-9]+_[0-9]+$'";

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

/// The statement that drops a database together with its connections.
pub(crate) fn dropping(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
}

/// Runs a statement on a connection of its own.
///
/// # Errors
/// No connection, what PostgreSQL says, or no answer in two minutes.
pub(crate) async fn run(url: DatabaseUrl, sql: &str) -> Result<(), BoxError> {
    let place = url.to_string();
    let ran = on_connection(url, async |client| {
        client
            .batch_execute(sql)
            .await
            .map_err(|error| describe(&error))?;
        Ok(())
    });
    let ran = tokio::time::timeout(LIMIT, ran).await;
    ran.unwrap_or_else(|_| Err(format!("{place} has not answered for two minutes").into()))
}

/// Uses a connection that ends with it.
///
/// # Errors
/// No connection, or what `use_it` fails with.
pub(crate) async fn on_connection<T>(
    url: DatabaseUrl,
    use_it: impl AsyncFnOnce(&mut tokio_postgres::Client) -> Result<T, BoxError>,
) -> Result<T, BoxError> {
    let config = DbConfig::new(url, format!("shared_test:{}", process::id()));
    let (mut client, connection) = connect(&config).await?;
    let driven = tokio::spawn(connection);
    let result = use_it(&mut client).await;
    drop(client);
    // The server has then let go of the database, which can be copied or dropped.
    drop(driven.await);
    result
}

/// Drops what killed tests have left: on a private server, those of processes that are gone. Says what is in the way, and
/// goes on: tests can do without it.
pub(crate) async fn drop_forgotten(server: DatabaseUrl, is_private: bool) {
    let dropped = on_connection(server, async |client| {
        let rows = client.query(ALL, &[]).await;
        for row in rows.map_err(|error| describe(&error))? {
            let name: String = row.get(0);
            if is_forgotten(&name, is_private) {
                client
                    .batch_execute(&dropping(&name))
                    .await
                    .map_err(|error| describe(&error))?;
            }
        }
        Ok(())
    });
    if let Err(error) = dropped.await {
        eprintln!("tests: databases of killed tests cannot be dropped: {error}");
    }
}

fn is_forgotten(name: &str, is_private: bool) -> bool {
    let mut numbers = name
        .trim_start_matches(PREFIX)
        .split('_')
        .map(str::parse::<u64>);
    let (Some(Ok(made)), Some(Ok(pid))) = (numbers.next(), numbers.next()) else {
        return false;
    };
    let is_old = made < now().saturating_sub(FORGOTTEN_AFTER.as_secs());
    let pid = i32::try_from(pid).unwrap_or(i32::MAX);
    is_old || (is_private && kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH))
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

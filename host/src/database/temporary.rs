//! A temporary connection outside the pool.

use std::{sync::atomic::AtomicI32, time::Duration};

use shared::{
    BoxError,
    db::{DatabaseUrl, connect, describe},
    env::Env,
};
use shared_migrate::Style;
use tokio_postgres::Client;
use tokio_util::task::AbortOnDropHandle;

use super::blocker::watch_blocker;
use crate::events::{Event, Events};

/// How long closing a connection may wait for outstanding responses.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// Runs `work` on a temporary connection and waits until that is closed.
pub(crate) async fn on_connection<T>(
    url: &DatabaseUrl,
    env: &Env,
    work: impl AsyncFnOnce(&mut Client) -> Result<T, BoxError>,
) -> Result<T, BoxError> {
    let config = env.db_config(url.clone(), format!("host-migrate:{}", std::process::id()));
    let (mut client, connection) = connect(&config).await?;
    // Aborted with this function, even if the server is still sending.
    let driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let result = work(&mut client).await;
    drop(client);
    // The client has already returned its errors.
    drop(tokio::time::timeout(CLOSE_LIMIT, driver).await);
    result
}

/// The same for a command: reports whose lock `work` waits for, which may apply migrations of this style.
pub(crate) async fn on_watched_connection<T>(
    url: &DatabaseUrl,
    env: &Env,
    (events, style): (&Events, Style),
    work: impl AsyncFnOnce(&mut Client) -> Result<T, BoxError>,
) -> Result<T, BoxError> {
    on_connection(url, env, async |client| {
        let asked = client.query_one("SELECT pg_backend_pid()", &[]).await;
        let pid = AtomicI32::new(asked.map_err(|error| describe(&error))?.get(0));
        let mut told = None;
        let tell = |blocker: Option<String>| {
            if let Some(blocker) = blocker.filter(|blocker| told.as_ref() != Some(blocker)) {
                events.emit(Event::WaitingForLock {
                    of: blocker.clone(),
                });
                told = Some(blocker);
            }
        };
        tokio::select! {
            done = work(client) => done,
            never = watch_blocker(url, env, (&pid, style), tell) => match never {},
        }
    })
    .await
}

//! A temporary connection outside the pool.

use std::time::Duration;

use shared::{
    BoxError,
    db::{DatabaseUrl, DbConfig, connect},
    env::Env,
};
use tokio_postgres::Client;
use tokio_util::task::AbortOnDropHandle;

/// How long closing a connection may wait for outstanding responses.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// Runs `work` on a temporary connection and waits until that is closed.
pub(in crate::dev) async fn on_connection<T>(
    url: &DatabaseUrl,
    env: &Env,
    work: impl AsyncFnOnce(&mut Client) -> Result<T, BoxError>,
) -> Result<T, BoxError> {
    let config = DbConfig::new(
        env,
        url.clone(),
        format!("host-migrate:{}", std::process::id()),
    );
    let (mut client, connection) = connect(&config).await?;
    // Aborted with this function, even if the server is still sending.
    let driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let result = work(&mut client).await;
    drop(client);
    // The client has already returned its errors.
    drop(tokio::time::timeout(CLOSE_LIMIT, driver).await);
    result
}

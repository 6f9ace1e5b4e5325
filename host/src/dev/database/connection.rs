//! A connection of its own for a short piece of work, beside the pool.

use std::time::Duration;

use shared::{
    BoxError,
    db::{DatabaseUrl, DbConfig, connect},
    env::Env,
};
use tokio_postgres::Client;
use tokio_util::task::AbortOnDropHandle;

/// How long a connection waits for the answers to what it has sent, once nobody wants them any more.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// Runs `work` on a connection of its own and waits until that is closed.
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
    // Ended with this, whatever the server still has to say.
    let driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let result = work(&mut client).await;
    drop(client);
    // Its errors were the client's errors already.
    drop(tokio::time::timeout(CLOSE_LIMIT, driver).await);
    result
}

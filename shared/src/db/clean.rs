//! Makes a connection fit for the next user, whatever the one before has left behind.

use std::{pin::pin, time::Duration};

use deadpool_postgres::Client as Object;
use tokio::time::timeout;

use super::{connect::cancel, tls::Tls};

/// Rolls back, cancels what still runs, and after raw use takes back whatever the session was told.
pub(super) async fn clean_up(
    client: &Object,
    tls: &Tls,
    rollback: &str,
    abandoned: bool,
    raw: bool,
) -> Result<(), tokio_postgres::Error> {
    // Answered only when what was abandoned has ended.
    let mut rolled_back = pin!(client.batch_execute(rollback));
    match timeout(GRACE, &mut rolled_back).await {
        Err(_) if abandoned => {
            cancel(client, tls).await?;
            // The cancel travels on a connection of its own and may arrive late, in the middle of this ROLLBACK.
            if rolled_back.await.is_err() {
                client.batch_execute(rollback).await?;
            }
            // Or even later, when the next user's statement runs: let it meet this one instead. Cancelled or not, both
            // are right.
            drop(client.batch_execute(FENCE).await);
        }
        Err(_) => rolled_back.await?,
        Ok(answer) => answer?,
    }
    if raw {
        client.batch_execute(FORGET_SESSION).await?;
    }
    Ok(())
}

/// A statement that ends by itself within this time is not cancelled. A cancel that comes too late for it would hit
/// the next one, and nobody tells when it has come.
const GRACE: Duration = Duration::from_millis(20);

/// The server signals a backend within a millisecond or two of the cancel's arrival.
const FENCE: &str = "SELECT pg_sleep(0.05)";

/// As deadpool's `Clean` recycling has it.
const FORGET_SESSION: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
    SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";

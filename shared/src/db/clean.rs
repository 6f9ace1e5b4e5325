//! Makes a connection fit for the next user, whatever the one before has left behind.

use deadpool_postgres::Client as Object;

use super::{connect::cancel, tls::Tls};

/// Cancels what runs, rolls back, and after raw use takes back whatever the session was told.
pub(super) async fn clean_up(
    client: &Object,
    tls: &Tls,
    rollback: &str,
    abandoned: bool,
    raw: bool,
) -> Result<(), tokio_postgres::Error> {
    if abandoned {
        cancel(client, tls).await?;
    }
    // The cancel travels on a connection of its own and may arrive late, in the middle of this ROLLBACK.
    if client.batch_execute(rollback).await.is_err() {
        client.batch_execute(rollback).await?;
    }
    if abandoned {
        // Or even later, when the next user's statement runs: let it meet this one instead. Cancelled or not, both
        // are right.
        drop(client.batch_execute(FENCE).await);
    }
    if raw {
        client.batch_execute(FORGET_SESSION).await?;
    }
    Ok(())
}

/// The server signals a backend within a millisecond or two of the cancel's arrival.
const FENCE: &str = "SELECT pg_sleep(0.05)";

/// As deadpool's `Clean` recycling has it.
const FORGET_SESSION: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
    SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";

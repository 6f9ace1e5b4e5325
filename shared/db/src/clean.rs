//! Cleans a connection for its next user, whatever the previous one left behind.

use std::{io, pin::pin, time::Duration};

use deadpool_postgres::Client as Object;
use tokio::time::timeout;

use super::peer::Peer;

/// The server or the network stood in the way: the connection is to be discarded.
pub(super) struct Unclean;

impl From<tokio_postgres::Error> for Unclean {
    fn from(_: tokio_postgres::Error) -> Self {
        Self
    }
}

impl From<io::Error> for Unclean {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// Rolls back, cancels a statement that still runs, and after raw use resets the session.
pub(super) async fn clean_up(
    client: &Object,
    peer: &Peer,
    rollback: &str,
    abandoned: bool,
    raw: bool,
) -> Result<(), Unclean> {
    // The server answers this only after the abandoned statement has ended.
    let mut rolled_back = pin!(client.batch_execute(rollback));
    match timeout(GRACE, &mut rolled_back).await {
        Err(_) if abandoned => {
            peer.cancel(client).send().await?;
            // The cancel travels on a connection of its own and may arrive late, in the middle of this ROLLBACK.
            if rolled_back.await.is_err() {
                client.batch_execute(rollback).await?;
            }
            // Or even later, during the next user's statement: give it this statement to hit instead. Its result does
            // not matter.
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

/// A statement that ends by itself within this time is not cancelled: a late cancel would hit the next statement, and
/// the server does not report when a cancel has been handled.
const GRACE: Duration = Duration::from_millis(20);

/// The server signals a backend within a millisecond or two of the cancel's arrival.
const FENCE: &str = "SELECT pg_sleep(0.05)";

/// The same statements as deadpool's `Clean` recycling.
const FORGET_SESSION: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
    SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";

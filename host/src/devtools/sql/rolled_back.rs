//! A transaction that is rolled back unless what it writes is wanted, alone on the connection and for a limited time.

use std::time::Duration;

use shared::{
    Db,
    db::{DbError, describe},
    request::Request,
};
use tokio_postgres::{Client, error::SqlState};

/// A look waits no longer for another session's lock: the app's statements wait behind it.
const LOCKS: Duration = Duration::from_secs(1);

/// What `work` may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Reads,
    /// Writes too: of those, sequences and what triggers do elsewhere are not rolled back.
    Writes,
    /// What is written is kept, unless `work` fails.
    Keeps,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0}")]
    NoConnection(#[from] DbError),
    #[error("{}", describe(.0))]
    Statement(#[from] tokio_postgres::Error),
    #[error("the database has not answered in time")]
    Late,
}

impl Fault {
    /// It writes, and only reads were allowed.
    pub(super) fn is_write(&self) -> bool {
        let read_only = Some(&SqlState::READ_ONLY_SQL_TRANSACTION);
        matches!(self, Self::Statement(error) if error.code() == read_only)
    }
}

/// Runs `work`. Each of its statements may take `limit`, and all of it twice as long.
pub(super) async fn rolled_back<T>(
    db: &Db,
    (who, access): (&'static str, Access),
    limit: Duration,
    work: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
) -> Result<T, Fault> {
    let run = async {
        let checkout = db.checkout().await?;
        let client = checkout.client();
        let (mode, locks) = match access {
            Access::Reads => (" READ ONLY", LOCKS.min(limit)),
            Access::Writes | Access::Keeps => ("", limit),
        };
        // A pooler does not know the session's own limit.
        let (limit, locks) = (limit.as_millis(), locks.as_millis());
        let begin = format!(
            "BEGIN{mode}; SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = {locks}"
        );
        client.batch_execute(&begin).await?;
        let done = work(client).await;
        // The checkout rolls back when it is dropped; here, so that locks do not last until then.
        let end = match access {
            Access::Keeps if done.is_ok() => "COMMIT",
            _ => "ROLLBACK",
        };
        let ended = client.batch_execute(end).await;
        let done = done?;
        ended?;
        Ok(done)
    };
    let asking = Request::of_the_host(who);
    let run = tokio::time::timeout(limit + limit, asking.scope(run));
    run.await.unwrap_or(Err(Fault::Late))
}

//! A server that no longer takes writes: a primary that was demoted or made read-only.
//!
//! If the URL asks for one that does (`target_session_attrs=read-write`), the session works but is unusable: it is
//! discarded, and the next statement tries the addresses again.

use deadpool_postgres::Client as Object;
use tokio_postgres::{Error, SimpleQueryMessage, error::SqlState};

/// Whether a write was refused as read-only: because of the server, or because of the transaction's own mode.
pub(super) fn refused_a_write(error: &Error) -> bool {
    error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
}

/// Whether a transaction that begins now may not write.
pub(super) async fn is_read_only(client: &Object) -> bool {
    let said = client.simple_query("SHOW transaction_read_only").await;
    said.is_ok_and(|said| says_on(&said))
}

/// Whether this is a row with `on`.
pub(super) fn says_on(said: &[SimpleQueryMessage]) -> bool {
    let on = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0) == Some("on"),
        _ => false,
    };
    said.iter().any(on)
}

//! A server that takes writes no longer: a primary that was demoted, or told to be read-only.
//!
//! Where the URL asks for one that does (`target_session_attrs=read-write`), a session there is good for nothing,
//! though it works: it is given up, and the next statement looks through the addresses again.

use deadpool_postgres::Client as Object;
use tokio_postgres::{Error, SimpleQueryMessage, error::SqlState};

use super::book::Book;

/// Whether a write was refused. By the server perhaps, or by what its own transaction has said.
pub(super) fn refused_a_write(error: &Error) -> bool {
    error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
}

/// Whether a transaction that begins now may not write.
pub(super) async fn is_read_only(client: &Object) -> bool {
    let said = client.simple_query("SHOW transaction_read_only").await;
    let on = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0) == Some("on"),
        _ => false,
    };
    said.is_ok_and(|messages| messages.iter().any(on))
}

/// Enters a connection that is given up for it.
pub(super) fn give_up(book: &Book, refusal: String) {
    let reason = book.lost(refusal);
    tracing::warn!(
        "the database no longer takes writes, and target_session_attrs=read-write asks for one that does: {reason}; \
         the next statement looks for it"
    );
}

//! How many rows a statement may return.

use tokio_postgres::Row;

use super::{error::DbError, holder::CallSite, recording::record_failure};

/// The row of the statement at `line`.
pub(super) fn one(line: CallSite, sql: &str, mut rows: Vec<Row>) -> Result<Row, DbError> {
    match rows.len() {
        1 => Ok(rows.remove(0)),
        found => Err(wrong_count(line, sql, "exactly one", found)),
    }
}

/// The row of the statement at `line`, if it returned any.
pub(super) fn at_most_one(
    line: CallSite,
    sql: &str,
    mut rows: Vec<Row>,
) -> Result<Option<Row>, DbError> {
    match rows.len() {
        0 | 1 => Ok(rows.pop()),
        found => Err(wrong_count(line, sql, "at most one", found)),
    }
}

/// PostgreSQL has no objection, so the failure has not been recorded yet.
fn wrong_count(line: CallSite, sql: &str, wanted: &'static str, found: usize) -> DbError {
    let error = DbError::Rows { wanted, found };
    record_failure(line, Some(sql), &error);
    error
}

//! What a statement leaves behind in its session, as far as its text says: a setting, a lock, an open transaction.
//!
//! The session is everybody's. Statements that mark it are refused where they share the connection, and taken back
//! where they had it alone. A function that marks the session from inside is not seen here; between two generations
//! everything is taken back for that reason.

use super::{book::Line, error::DbError};

/// The kind of mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// None that would outlive the statement, or one that is meant to: rows, tables.
    None,
    /// A transaction begins or ends.
    Transaction,
    /// A part of a transaction begins or ends.
    Savepoint,
    /// A setting, a lock, a listener, a temporary table, a cursor.
    Session,
}

/// Of one statement, which is all that the extended protocol takes.
pub(super) fn mark_of(sql: &str) -> Mark {
    let text = without_comments(sql);
    let word = text
        .split(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    let is = |words: &[&str]| words.iter().any(|other| word.eq_ignore_ascii_case(other));
    if is(&[
        "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "MERGE", "VALUES", "TABLE",
    ]) {
        // Locks that end with the transaction have another name.
        let marks = ["pg_advisory_lock", "pg_try_advisory_lock", "set_config"];
        return if marks.iter().any(|function| contains(text, function)) {
            Mark::Session
        } else {
            Mark::None
        };
    }
    let back_to = |next: &str| next.eq_ignore_ascii_case("TO");
    if is(&["SAVEPOINT", "RELEASE"])
        || is(&["ROLLBACK"]) && text.split_whitespace().nth(1).is_some_and(back_to)
    {
        return Mark::Savepoint;
    }
    if is(&["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"]) {
        return Mark::Transaction;
    }
    let session = [
        "SET", "RESET", "LISTEN", "UNLISTEN", "DECLARE", "FETCH", "LOAD", "PREPARE", "DISCARD",
        "LOCK",
    ];
    if is(&session) || is(&["CREATE"]) && makes_temporary(text) {
        return Mark::Session;
    }
    Mark::None
}

/// Refuses what would mark a connection that others share at the same moment.
pub(super) fn refuse_marks(sql: &str, line: Line) -> Result<(), DbError> {
    let instead = match mark_of(sql) {
        Mark::None => return Ok(()),
        Mark::Transaction | Mark::Savepoint => "db.transaction(…)",
        Mark::Session => {
            "db.checkout(), which has a connection to itself, or SET LOCAL inside db.transaction(…)"
        }
    };
    Err(misplaced(sql, line, instead))
}

/// With the first word only: the rest may hold data.
pub(super) fn misplaced(sql: &str, line: Line, instead: &'static str) -> DbError {
    let word = without_comments(sql)
        .split(|c: char| !c.is_ascii_alphabetic())
        .next();
    DbError::Misplaced {
        line: line.to_string(),
        statement: word.unwrap_or_default().to_owned(),
        instead,
    }
}

/// `CREATE [OR REPLACE] [LOCAL | GLOBAL] TEMP …`
fn makes_temporary(text: &str) -> bool {
    text.split_whitespace()
        .skip(1)
        .take(3)
        .any(|word| word.eq_ignore_ascii_case("TEMP") || word.eq_ignore_ascii_case("TEMPORARY"))
}

fn contains(text: &str, lower_case: &str) -> bool {
    let wanted = lower_case.as_bytes();
    text.as_bytes()
        .windows(wanted.len())
        .any(|window| window.eq_ignore_ascii_case(wanted))
}

fn without_comments(mut sql: &str) -> &str {
    loop {
        sql = sql.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
        let rest = if sql.starts_with("--") {
            sql.split_once('\n')
        } else if sql.starts_with("/*") {
            sql.split_once("*/")
        } else {
            return sql;
        };
        match rest {
            Some((_, rest)) => sql = rest,
            None => return "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Mark, mark_of};

    #[test]
    fn marks_are_told_from_work() {
        for (sql, mark) in [
            ("SELECT 1", Mark::None),
            ("  -- why\n/* and how */ (select 1)", Mark::None),
            ("UPDATE counter SET count = 1", Mark::None),
            ("SELECT pg_advisory_xact_lock(1)", Mark::None),
            ("CREATE TABLE template ()", Mark::None),
            ("ALTER TABLE a ADD b int", Mark::None),
            ("SET search_path = x", Mark::Session),
            ("select Pg_Advisory_Lock(1)", Mark::Session),
            (
                "WITH a AS (SELECT set_config('a.b', 'c', false)) SELECT * FROM a",
                Mark::Session,
            ),
            ("create temporary table t ()", Mark::Session),
            ("LISTEN news", Mark::Session),
            ("begin", Mark::Transaction),
            ("COMMIT;", Mark::Transaction),
            ("ROLLBACK TO here", Mark::Savepoint),
            ("SAVEPOINT here", Mark::Savepoint),
        ] {
            assert_eq!(mark_of(sql), mark, "{sql}");
        }
    }
}

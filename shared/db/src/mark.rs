//! What a statement leaves behind in its session, judged by its text: a setting, a lock, an open transaction.
//!
//! Everyone shares the session. A statement that changes ("marks") it is refused on the shared connection, and undone
//! after exclusive use. A function that marks the session internally is not seen here; for that reason the whole
//! session is reset between generations.

use super::{
    error::DbError,
    holder::CallSite,
    sql::{SESSION_LOCKS, words},
};

/// What is left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Nothing beyond the statement except what is meant to last: rows, tables.
    None,
    /// A transaction begins or ends.
    Transaction,
    /// A savepoint begins or ends.
    Savepoint,
    /// A setting, a lock, a listener, a temporary table, a cursor.
    Session,
}

/// Takes a single statement, as the extended protocol does.
pub(super) fn mark_of(sql: &str) -> Mark {
    let mut words = words(sql);
    let Some(mut first) = words.next() else {
        return Mark::None;
    };
    // EXPLAIN ANALYZE runs the statement.
    if is(first, &["EXPLAIN"]) {
        first = words
            .find(|word| is(word, READS_OR_WRITES) || is(word, &["CREATE"]))
            .unwrap_or_default();
    }
    if is(first, &["SAVEPOINT", "RELEASE"]) {
        return Mark::Savepoint;
    }
    if is(
        first,
        &["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"],
    ) {
        // ROLLBACK [WORK | TRANSACTION] TO …
        let back_to = is(first, &["ROLLBACK"]) && words.take(2).any(|word| is(word, &["TO"]));
        return if back_to {
            Mark::Savepoint
        } else {
            Mark::Transaction
        };
    }
    if is(first, SESSION) || is(first, &["CREATE"]) && makes_temporary(words.clone()) {
        return Mark::Session;
    }
    if marks_from_within(first, words) {
        return Mark::Session;
    }
    Mark::None
}

const READS_OR_WRITES: &[&str] = &[
    "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "MERGE", "VALUES", "TABLE",
];
const SESSION: &[&str] = &[
    "SET", "RESET", "LISTEN", "UNLISTEN", "DECLARE", "FETCH", "LOAD", "PREPARE", "DISCARD", "LOCK",
];

/// Whether it calls `set_config` or one of [`SESSION_LOCKS`], or is `SELECT … INTO TEMP t`.
fn marks_from_within<'a>(first: &'a str, words: impl Iterator<Item = &'a str>) -> bool {
    let (mut before_last, mut last) = ("", first);
    for word in words {
        // `INSERT INTO temp` names a table, and so does `SELECT … INTO temp FROM …`.
        let into = is(before_last, &["INTO"]) && is(last, TEMPORARY);
        let marks = is(word, &["set_config"]) || is(word, SESSION_LOCKS);
        if marks || into && !is(word, &["FROM", "WHERE", "VALUES", "SELECT"]) {
            return true;
        }
        // INSERT INTO writes to an existing table.
        let target = is(word, &["INTO"]) && is(last, &["INSERT", "MERGE"]);
        (before_last, last) = (last, if target { "" } else { word });
    }
    false
}

const TEMPORARY: &[&str] = &["TEMP", "TEMPORARY", "LOCAL", "GLOBAL", "pg_temp"];

/// `CREATE [OR REPLACE] [LOCAL | GLOBAL] TEMP TABLE …`, or `CREATE TABLE pg_temp.t …`
fn makes_temporary<'a>(mut words: impl Iterator<Item = &'a str>) -> bool {
    let kinds = &[
        "TABLE",
        "VIEW",
        "SEQUENCE",
        "RECURSIVE",
        "FUNCTION",
        "INDEX",
    ];
    let before_kind = words.by_ref().take_while(|word| !is(word, kinds));
    // `any` would stop early and leave the kind to the check below.
    let temporary = before_kind
        .filter(|word| is(word, &["TEMP", "TEMPORARY"]))
        .count()
        > 0;
    temporary || words.take(4).any(|word| is(word, &["pg_temp"])) // may follow IF NOT EXISTS
}

fn is(word: &str, any_of: &[&str]) -> bool {
    any_of.iter().any(|other| word.eq_ignore_ascii_case(other))
}

/// Refuses a statement that would mark the connection that others share.
pub(super) fn refuse_marks(sql: &str, line: CallSite) -> Result<(), DbError> {
    let instead = match mark_of(sql) {
        Mark::None => return Ok(()),
        Mark::Transaction | Mark::Savepoint => "db.transaction(…)",
        Mark::Session => {
            "db.checkout(), which has a connection to itself, or SET LOCAL inside db.transaction(…)"
        }
    };
    Err(misplaced(sql, line, instead))
}

/// Names the first word only: the rest may contain data.
pub(super) fn misplaced(sql: &str, line: CallSite, instead: &'static str) -> DbError {
    DbError::Misplaced {
        line: line.to_string(),
        statement: words(sql).next().unwrap_or_default().to_owned(),
        instead,
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
            ("ROLLBACK WORK TO here", Mark::Savepoint),
            ("/* a /* nested */ comment */ SET a = 1", Mark::Session),
            (
                "/**/(/* b /**/*/SELECT set_config('a', 'b', true))",
                Mark::Session,
            ),
            ("SELECT a INTO TEMP t FROM b", Mark::Session),
            ("select 1 into local temporary table t", Mark::Session),
            ("SELECT 1 INTO pg_temp.t", Mark::Session),
            (
                "WITH a AS (SELECT 1) SELECT * INTO TEMP t FROM a",
                Mark::Session,
            ),
            ("CREATE TABLE pg_temp.t (a int)", Mark::Session),
            ("CREATE OR REPLACE TEMP VIEW v AS SELECT 1", Mark::Session),
            (
                "EXPLAIN ANALYZE SELECT pg_advisory_lock_shared(1)",
                Mark::Session,
            ),
            (
                "EXPLAIN (ANALYZE) CREATE TEMP TABLE t AS SELECT 1",
                Mark::Session,
            ),
            (
                "CREATE TABLE t AS SELECT set_config('a', 'b', false)",
                Mark::Session,
            ),
            (
                "SELECT 'SET', 'pg_advisory_lock', $$set_config$$ -- into temp x",
                Mark::None,
            ),
            ("INSERT INTO temp VALUES (1)", Mark::None),
            ("INSERT INTO temp (a) SELECT 1", Mark::None),
            ("SELECT 1 INTO temp FROM a", Mark::None),
            ("CREATE TABLE temp (a int)", Mark::None),
            (
                "CREATE TABLE IF NOT EXISTS pg_temp.t (a int)",
                Mark::Session,
            ),
            ("CREATE TABLE a AS SELECT temp FROM b", Mark::None),
            ("CREATE VIEW v AS SELECT temporary FROM b", Mark::None),
            ("", Mark::None),
        ] {
            assert_eq!(mark_of(sql), mark, "{sql}");
        }
    }
}

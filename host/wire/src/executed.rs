//! The statement that a client has prepared and names in its SQL: sqlx's macros send `EXPLAIN … EXECUTE sqlx_s_1` to learn
//! which columns may be null. Reads no other SQL.

use std::ops::Range;

/// Where the text names the statement that it executes or explains.
pub(crate) fn executed_in(sql: &str) -> Option<Range<usize>> {
    let first = sql.trim_start().get(.."EXECUTE".len())?;
    if !first.eq_ignore_ascii_case("EXPLAIN") && !first.eq_ignore_ascii_case("EXECUTE") {
        return None;
    }
    let keyword = sql.to_ascii_uppercase().find("EXECUTE")?; // in a text of the same length
    // What is quoted is not a keyword.
    if sql[..keyword].contains(['\'', '"', '$', ';']) {
        return None;
    }
    let after = &sql[keyword + "EXECUTE".len()..];
    let name = after.trim_start();
    let start = sql.len() - name.len();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = name.find(|c| !is_part(c)).unwrap_or(name.len());
    (end > 0 && name.len() < after.len()).then(|| start..start + end)
}

#[cfg(test)]
mod tests {
    use super::executed_in;

    #[test]
    fn the_name_is_found_where_it_is_executed() {
        for (sql, name) in [
            (
                "EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE sqlx_s_1",
                Some("sqlx_s_1"),
            ),
            (
                "EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE sqlx_s_12(NULL, NULL)",
                Some("sqlx_s_12"),
            ),
            (" execute s0 ", Some("s0")),
            ("EXECUTE", None),
            ("EXECUTE \"s0\"", None),
            ("EXPLAIN SELECT 'EXECUTE s0'", None),
            ("SELECT 1; EXECUTE s0", None),
            ("EXECUTES s0", None),
        ] {
            assert_eq!(executed_in(sql).map(|at| &sql[at]), name, "{sql}");
        }
    }
}

//! One query and its first rows, as text.
//!
//! It is declared as a cursor, in a transaction that may only read: PostgreSQL itself refuses what is no query, what
//! writes, and a second statement, and no row is computed beyond those that are fetched.

use std::time::Duration;

use serde::Serialize;
use shared::{
    Db,
    db::{
        sql::{Token, tokens},
        trace::names_a_secret,
    },
};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::rolled_back::{Access, rolled_back};

const LIMIT: Duration = Duration::from_secs(10);

/// How many rows an answer may have.
const MOST_ROWS: usize = 1000;

/// Of all cells together, about.
const MOST_BYTES: usize = 100 << 10;

/// Of one cell.
const MOST_OF_A_CELL: usize = 4 << 10;

/// Fetched at once.
const BATCH: usize = 100;

/// The first rows of a query.
#[derive(Debug, Default, Serialize)]
pub(in crate::devtools) struct Rows {
    columns: Vec<String>,
    /// As PostgreSQL writes its values. `***` in columns that are named like a secret.
    rows: Vec<Vec<Option<String>>>,
    /// There are more.
    more: bool,
}

/// Runs `sql` and returns at most `most` of its rows.
pub(in crate::devtools) async fn query(db: &Db, sql: &str, most: usize) -> Result<Rows, String> {
    if !is_query(sql) {
        let why = "refused: only one query that reads is run, which begins with SELECT, WITH, VALUES or TABLE";
        return Err(why.to_owned());
    }
    let rows = rolled_back(db, ("a query", Access::Reads), LIMIT, async |client| {
        first_rows(client, sql, most.min(MOST_ROWS)).await
    });
    rows.await.map_err(|fault| fault.to_string())
}

/// For a better message than that of PostgreSQL, which decides.
fn is_query(sql: &str) -> bool {
    const FIRST: [&str; 4] = ["SELECT", "WITH", "VALUES", "TABLE"];
    match tokens(sql).find(|token| *token != Token::Symbol('(')) {
        Some(Token::Word(first)) => FIRST.iter().any(|word| first.eq_ignore_ascii_case(word)),
        _ => false,
    }
}

async fn first_rows(
    client: &Client,
    sql: &str,
    most: usize,
) -> Result<Rows, tokio_postgres::Error> {
    let declare = format!("DECLARE asked NO SCROLL CURSOR FOR {sql}");
    client.query_typed(&declare, &[]).await?;
    let (mut found, mut bytes) = (Rows::default(), 0);
    loop {
        // One more than wanted: then there are more.
        let wanted = (most + 1 - found.rows.len()).min(BATCH);
        let fetch = format!("FETCH {wanted} FROM asked");
        let mut fetched = 0;
        for message in client.simple_query(&fetch).await? {
            match message {
                SimpleQueryMessage::RowDescription(columns) if found.columns.is_empty() => {
                    let names = columns.iter().map(|column| column.name().to_owned());
                    found.columns = names.collect();
                }
                SimpleQueryMessage::Row(row) => {
                    fetched += 1;
                    let cells = found.columns.iter().enumerate();
                    let cells: Vec<_> = cells
                        .map(|(at, name)| Some(shown(name, row.get(at)?)))
                        .collect();
                    bytes += cells.iter().flatten().map(String::len).sum::<usize>();
                    found.more = found.rows.len() == most || bytes > MOST_BYTES;
                    if found.more {
                        return Ok(found);
                    }
                    found.rows.push(cells);
                }
                _ => {}
            }
        }
        if fetched < wanted {
            return Ok(found);
        }
    }
}

fn shown(column: &str, cell: &str) -> String {
    if names_a_secret(column) {
        return "***".to_owned();
    }
    match &cell[..cell.floor_char_boundary(MOST_OF_A_CELL)] {
        whole if whole.len() == cell.len() => whole.to_owned(),
        cut => format!("{cut}…"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_told_from_what_is_none() {
        for sql in [
            "select 1",
            "-- why\n(SELECT 1) UNION SELECT 2",
            "/* SET */ VALUES (1)",
            "TABLE note",
        ] {
            assert!(is_query(sql), "{sql}");
        }
        for sql in ["", "DELETE FROM note", "COPY t TO PROGRAM 'sh'", "'SELECT'"] {
            assert!(!is_query(sql), "{sql}");
        }
    }
}

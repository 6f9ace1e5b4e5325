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
use tokio_postgres::{Client, SimpleColumn, SimpleQueryMessage, SimpleQueryRow};

use super::rolled_back::{Access, rolled_back};

const LIMIT: Duration = Duration::from_secs(10);

/// For rows that are only looked at.
const LIMIT_OF_A_PAGE: Duration = Duration::from_secs(3);

/// How many rows an answer may have.
pub(in crate::devtools) const MOST_ROWS: usize = 1000;

/// Of all cells together, about.
pub(super) const MOST_BYTES: usize = 100 << 10;

/// Of one cell.
const MOST_OF_A_CELL: usize = 4 << 10;

/// Fetched at once, if they are small.
const BATCH: usize = 100;

/// The first rows of a query.
#[derive(Debug, Default, Serialize)]
pub(in crate::devtools) struct Rows {
    pub(in crate::devtools) columns: Vec<String>,
    /// As PostgreSQL writes its values. `***` in columns that are named like a secret.
    pub(in crate::devtools) rows: Vec<Vec<Option<String>>>,
    /// There are more.
    pub(in crate::devtools) more: bool,
    /// For so many bytes.
    #[serde(skip)]
    room: usize,
}

/// Runs `sql` and returns at most `most` of its rows.
pub(in crate::devtools) async fn query(db: &Db, sql: &str, most: usize) -> Result<Rows, String> {
    if !is_query(sql) {
        let why = "refused: only one query that reads is run, which begins with SELECT, WITH, VALUES or TABLE";
        return Err(why.to_owned());
    }
    let rows = rolled_back(db, ("a query", Access::Reads), LIMIT, async |client| {
        first_rows(client, sql, most.min(MOST_ROWS), MOST_BYTES).await
    });
    rows.await.map_err(|fault| fault.to_string())
}

/// The same for a query of our own that shortens its values: all `most` rows have room.
pub(in crate::devtools) async fn page(db: &Db, sql: &str, most: usize) -> Result<Rows, String> {
    let rows = rolled_back(
        db,
        ("rows of a table", Access::Reads),
        LIMIT_OF_A_PAGE,
        async |client| first_rows(client, sql, most, usize::MAX).await,
    );
    rows.await.map_err(|fault| fault.to_string())
}

/// For a better message than that of PostgreSQL, which decides.
pub(super) fn is_query(sql: &str) -> bool {
    const FIRST: [&str; 4] = ["SELECT", "WITH", "VALUES", "TABLE"];
    match tokens(sql).find(|token| *token != Token::Symbol('(')) {
        Some(Token::Word(first)) => FIRST.iter().any(|word| first.eq_ignore_ascii_case(word)),
        _ => false,
    }
}

pub(super) async fn first_rows(
    client: &Client,
    sql: &str,
    most: usize,
    room: usize,
) -> Result<Rows, tokio_postgres::Error> {
    let declare = format!("DECLARE asked NO SCROLL CURSOR FOR {sql}");
    client.query_typed(&declare, &[]).await?;
    let (mut found, mut bytes, mut batch) = (Rows::default(), 0, 1);
    loop {
        // One more than wanted: then there are more.
        let wanted = (most + 1 - found.rows.len()).min(batch);
        let fetch = format!("FETCH {wanted} FROM asked");
        let mut fetched = 0;
        for message in client.simple_query(&fetch).await? {
            match message {
                SimpleQueryMessage::RowDescription(columns) if found.columns.is_empty() => {
                    found = Rows::of(&columns, room);
                }
                SimpleQueryMessage::Row(row) => {
                    fetched += 1;
                    bytes += (0..row.len())
                        .filter_map(|at| row.get(at))
                        .map(str::len)
                        .sum::<usize>();
                    found.add(&row, most);
                    if found.more {
                        return Ok(found);
                    }
                }
                _ => {}
            }
        }
        if fetched < wanted {
            return Ok(found);
        }
        // What is fetched is in memory: no more than there may be room for, going by the rows so far.
        batch = (found.rows.len() * MOST_BYTES / bytes.max(1)).clamp(1, BATCH);
    }
}

impl Rows {
    pub(super) fn of(columns: &[SimpleColumn], room: usize) -> Self {
        let names = columns.iter().map(|column| column.name().to_owned());
        Self {
            columns: names.collect(),
            room,
            ..Self::default()
        }
    }

    /// Adds it if there is room, for no more than `most`.
    pub(super) fn add(&mut self, row: &SimpleQueryRow, most: usize) {
        let cells = self.columns.iter().enumerate();
        let cells: Vec<_> = cells
            .map(|(at, name)| Some(shown(name, row.get(at)?)))
            .collect();
        let bytes = cells.iter().flatten().map(String::len).sum();
        let room = self.room.checked_sub(bytes);
        // The first has room in any case.
        self.more |= self.rows.len() == most || room.is_none() && !self.rows.is_empty();
        if !self.more {
            self.room = room.unwrap_or_default();
            self.rows.push(cells);
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

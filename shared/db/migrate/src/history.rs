//! What a tool has applied: read from its table, compared with files by checksum, and written as the tool does it.

use std::{
    hash::{Hash, Hasher},
    time::Duration,
};

use sha2::{Digest, Sha384};
use shared_db::describe;
use siphasher::sip::SipHasher13;
use tokio_postgres::{Client, GenericClient};

use crate::style::Style;
use crate::{
    Files, Migration, MigrationFailure,
    naming::{in_order, number},
    table::{ADD_DIESEL, ADD_REFINERY, ADD_SQLX, KEY, TIME_SQLX, create, select, table},
};

/// A migration that was applied.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) version: String,
    pub(super) title: Option<String>,
    pub(super) checksum: Option<String>,
    /// sqlx began it and did not end it.
    pub(super) unfinished: bool,
}

/// What was applied, in order.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) style: Style,
    pub(super) rows: Vec<Row>,
    /// Rows of files that had no statement when they were written.
    pub(super) empty: Vec<Row>,
    pub(super) exists: bool,
    /// refinery's feature `int8-versions`, without which it reads no larger numbers. It also changes its checksums.
    pub(super) wide: bool,
}

impl History {
    /// Without the table nothing was applied.
    pub(super) async fn read(client: &Client, files: &Files) -> Result<Self, MigrationFailure> {
        let style = files.style;
        let needs_wide = |file: &Migration| {
            number(&file.named.version).is_some_and(|number| number > i64::from(i32::MAX))
        };
        let asked = client.query_opt(KEY, &[&table(style)]).await;
        let Some(key) = asked.map_err(failed)? else {
            return Ok(Self {
                style,
                wide: files.list.iter().any(needs_wide),
                ..Self::default()
            });
        };
        let rows = client.query(select(style), &[]).await.map_err(failed)?;
        let row = |row: tokio_postgres::Row| Row {
            version: row.get(0),
            title: row.get(1),
            checksum: row.get(2),
            unfinished: row.get(3),
        };
        let mut history = Self {
            style,
            rows: rows.into_iter().map(row).collect(),
            empty: Vec::new(),
            exists: true,
            wide: key.get(0),
        };
        history.set_empty_aside(files);
        Ok(history)
    }

    /// Makes the table, unless it is there.
    pub(super) async fn ensure(&mut self, client: &Client) -> Result<(), MigrationFailure> {
        if !self.exists {
            let made = client.batch_execute(create(self.style, self.wide)).await;
            made.map_err(failed)?;
            self.exists = true;
        }
        Ok(())
    }

    /// Records a migration, in the transaction that applies it if that is one.
    pub(super) async fn record(
        &self,
        client: &impl GenericClient,
        file: &Migration,
    ) -> Result<(), tokio_postgres::Error> {
        let (version, title) = (&file.named.version, &file.named.title);
        let checksum = self.checksum(file);
        match self.style {
            Style::Refinery => {
                client
                    .execute(ADD_REFINERY, &[version, title, &checksum])
                    .await
            }
            Style::Sqlx => client.execute(ADD_SQLX, &[version, title, &checksum]).await,
            Style::Diesel => client.execute(ADD_DIESEL, &[version]).await,
        }
        .map(drop)
    }

    /// Notes that it is recorded.
    pub(super) fn add(&mut self, file: &Migration) {
        let named = &file.named;
        let is_before = |row: &Row| in_order(self.style, &row.version, &named.version).is_lt();
        let place = self.rows.partition_point(is_before);
        let row = Row {
            version: named.version.clone(),
            title: Some(named.title.clone()),
            checksum: self.checksum(file),
            unfinished: false,
        };
        self.rows.insert(place, row);
    }

    /// Sets the rows aside that were written when a file, which has changed since, had no statement: the app's own
    /// migrator takes every file that it finds. Nothing was applied, so the file counts as pending.
    fn set_empty_aside(&mut self, files: &Files) {
        let is_empty = |row: &Row| {
            let mut files = files.list.iter();
            let file = files.find(|file| file.named.version == row.version);
            file.is_some_and(|file| self.is_empty(row, file))
        };
        let (empty, rows) = self.rows.iter().cloned().partition(is_empty);
        (self.empty, self.rows) = (empty, rows);
    }

    fn is_empty(&self, row: &Row, file: &Migration) -> bool {
        let is_of = |text| row.checksum == self.checksum_of(file, text);
        row.checksum.is_some() && !is_of(&file.sql) && file.beginnings().any(is_of)
    }

    /// Deletes what was set aside.
    pub(super) async fn forget_empty(&self, client: &Client) -> Result<(), MigrationFailure> {
        let delete = format!("DELETE FROM {} WHERE version::text = $1", table(self.style));
        for row in &self.empty {
            let deleted = client.execute(&delete, &[&row.version]).await;
            deleted.map_err(failed)?;
        }
        Ok(())
    }

    /// Adds how long a recorded one took, which sqlx can only know once it is committed.
    pub(super) async fn record_time(&self, client: &Client, file: &Migration, took: Duration) {
        let nanoseconds = i64::try_from(took.as_nanos()).unwrap_or(i64::MAX);
        if self.style == Style::Sqlx {
            // Only told to people, and the migration is applied.
            drop(
                client
                    .execute(TIME_SQLX, &[&file.named.version, &nanoseconds])
                    .await,
            );
        }
    }

    /// What the table has for an unchanged file.
    pub(super) fn checksum(&self, file: &Migration) -> Option<String> {
        self.checksum_of(file, &file.sql)
    }

    fn checksum_of(&self, file: &Migration, sql: &str) -> Option<String> {
        match self.style {
            Style::Refinery => Some(self.hash(file, sql).to_string()),
            Style::Sqlx => {
                let digest = Sha384::digest(sql);
                Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
            }
            Style::Diesel => None,
        }
    }

    fn hash(&self, file: &Migration, sql: &str) -> u64 {
        let mut hasher = SipHasher13::new();
        let number = number(&file.named.version).unwrap_or_default();
        file.named.title.hash(&mut hasher);
        match i32::try_from(number) {
            Ok(number) if !self.wide => number.hash(&mut hasher),
            _ => number.hash(&mut hasher),
        }
        sql.hash(&mut hasher);
        hasher.finish()
    }
}

fn failed(error: tokio_postgres::Error) -> MigrationFailure {
    MigrationFailure::new(None, describe(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naming::Named;

    const SQL: &str = "CREATE TABLE item (id bigint);\nINSERT INTO item VALUES (1), (2);\n";

    /// What refinery-core 0.10.1, without and with its feature `int8-versions`, and sqlx-core 0.9.0 have computed.
    #[test]
    fn checksums_are_those_of_the_tools() {
        for (path, wide, expected) in [
            ("V1__add_item.sql", false, "9057442105382995108"),
            ("V1__add_item.sql", true, "15278076691275106741"),
            (
                "V20240101000000__add_item.sql",
                true,
                "10388022253899984528",
            ),
            (
                "20240101000000_add_item.sql",
                false,
                "a4742aa10739bbfb312e8f92b033ce27cca44a1e96b680727c92a434a2e1b10065f89b0ee20ec684b483ecb49f4f4a14",
            ),
        ] {
            let named = Named::of(path).expect("a name");
            let history = History {
                style: named.style,
                wide,
                ..History::default()
            };
            let file = Migration {
                named,
                path: path.to_owned(),
                sql: SQL.to_owned(),
                in_transaction: true,
                reversible: false,
            };
            assert_eq!(history.checksum(&file).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn a_row_from_before_the_first_statement_is_set_aside() {
        for (path, recorded, sql, set_aside) in [
            ("1_a.sql", "", SQL, true),
            ("1_a.sql", "-- Add migration script here\n", SQL, true),
            ("1_a.sql", "-- items", "-- items\n\nSELECT 1", true),
            ("1_a.sql", "-- items\n", "-- items\n-- more\n", true),
            ("1_a.sql", "-- items\n", "-- items\n", false),
            ("1_a.sql", "SELECT 1;", "SELECT 1;\nSELECT 2;", false),
            ("1_a.sql", "SELECT 1;", "", false),
            ("V1__a.sql", "", SQL, true),
            ("1_a/up.sql", "", SQL, false),
        ] {
            let named = Named::of(path).expect("a name");
            let mut history = History {
                style: named.style,
                ..History::default()
            };
            let file = Migration {
                named,
                path: path.to_owned(),
                sql: sql.to_owned(),
                in_transaction: true,
                reversible: false,
            };
            history.rows.push(Row {
                version: "1".to_owned(),
                checksum: history.checksum_of(&file, recorded),
                ..Row::default()
            });
            let files = Files {
                list: vec![file],
                ..Files::default()
            };
            history.set_empty_aside(&files);
            let found = (history.empty.len(), history.rows.len());
            let expected = if set_aside { (1, 0) } else { (0, 1) };
            assert_eq!(found, expected, "{path}: {recorded:?}, then {sql:?}");
        }
    }
}

//! The table in which a tool keeps what it has applied: made, read and written as the tool itself does it.
//!
//! As refinery 0.10, sqlx 0.9 and diesel_migrations 2.3 do; their crates would bring drivers and connections of their
//! own.

use std::{
    hash::{Hash, Hasher},
    time::Duration,
};

use sha2::{Digest, Sha384};
use shared::db::describe;
use siphasher::sip::SipHasher13;
use tokio_postgres::{Client, GenericClient};

use super::{
    Files, Migration, MigrationFailure,
    naming::{in_order, number},
};
use crate::config::Style;

/// A migration that was applied.
#[derive(Debug, Default)]
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
        Ok(Self {
            style,
            rows: rows.into_iter().map(row).collect(),
            exists: true,
            wide: key.get(0),
        })
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
        match self.style {
            Style::Refinery => Some(self.hash(file).to_string()),
            Style::Sqlx => {
                let digest = Sha384::digest(&file.sql);
                Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
            }
            Style::Diesel => None,
        }
    }

    fn hash(&self, file: &Migration) -> u64 {
        let mut hasher = SipHasher13::new();
        let number = number(&file.named.version).unwrap_or_default();
        file.named.title.hash(&mut hasher);
        match i32::try_from(number) {
            Ok(number) if !self.wide => number.hash(&mut hasher),
            _ => number.hash(&mut hasher),
        }
        file.sql.hash(&mut hasher);
        hasher.finish()
    }
}

fn failed(error: tokio_postgres::Error) -> MigrationFailure {
    MigrationFailure::new(None, describe(&error))
}

/// Whether its versions have 64 bits. Nothing if there is no such table.
const KEY: &str = "\
SELECT atttypid = 'int8'::regtype FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = 'version'";

pub(super) fn table(style: Style) -> &'static str {
    match style {
        Style::Refinery => "refinery_schema_history",
        Style::Sqlx => "_sqlx_migrations",
        Style::Diesel => "__diesel_schema_migrations",
    }
}

fn create(style: Style, wide: bool) -> &'static str {
    match (style, wide) {
        (Style::Refinery, false) => "\
CREATE TABLE IF NOT EXISTS refinery_schema_history (
    version INT4 PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255))",
        (Style::Refinery, true) => "\
CREATE TABLE IF NOT EXISTS refinery_schema_history (
    version INT8 PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255))",
        (Style::Sqlx, _) => "\
CREATE TABLE IF NOT EXISTS _sqlx_migrations (
    version BIGINT PRIMARY KEY, description TEXT NOT NULL, installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
    success BOOLEAN NOT NULL, checksum BYTEA NOT NULL, execution_time BIGINT NOT NULL)",
        (Style::Diesel, _) => "\
CREATE TABLE IF NOT EXISTS __diesel_schema_migrations (
    version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    }
}

fn select(style: Style) -> &'static str {
    match style {
        Style::Refinery => {
            "\
SELECT version::text, name::text, checksum::text, false FROM refinery_schema_history ORDER BY version"
        }
        Style::Sqlx => {
            "\
SELECT version::text, description, encode(checksum, 'hex'), NOT success FROM _sqlx_migrations ORDER BY version"
        }
        Style::Diesel => {
            "\
SELECT version::text, NULL::text, NULL::text, false FROM __diesel_schema_migrations ORDER BY version COLLATE \"C\""
        }
    }
}

/// With the time as RFC 3339, which refinery parses.
const ADD_REFINERY: &str = "\
INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
VALUES ($1::text::bigint, $2, to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), $3)";

const ADD_SQLX: &str = "\
INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
VALUES ($1::text::bigint, $2, TRUE, decode($3, 'hex'), -1)";

const TIME_SQLX: &str =
    "UPDATE _sqlx_migrations SET execution_time = $2 WHERE version = $1::text::bigint";

const ADD_DIESEL: &str = "INSERT INTO __diesel_schema_migrations (version) VALUES ($1)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::migrate::naming::Named;

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
}

//! The tables in which the tools keep what they have applied, as SQL: made, read and written as refinery 0.10, sqlx 0.9
//! and diesel_migrations 2.3 do it. Their crates would bring drivers and connections of their own.

use crate::style::Style;

/// Whether its versions have 64 bits. Nothing if there is no such table.
pub(super) const KEY: &str = "\
SELECT atttypid = 'int8'::regtype FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = 'version'";

pub(super) fn table(style: Style) -> &'static str {
    match style {
        Style::Refinery => "refinery_schema_history",
        Style::Sqlx => "_sqlx_migrations",
        Style::Diesel => "__diesel_schema_migrations",
    }
}

pub(super) fn create(style: Style, wide: bool) -> &'static str {
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

pub(super) fn select(style: Style) -> &'static str {
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
pub(super) const ADD_REFINERY: &str = "\
INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
VALUES ($1::text::bigint, $2, to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), $3)";

pub(super) const ADD_SQLX: &str = "\
INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
VALUES ($1::text::bigint, $2, TRUE, decode($3, 'hex'), -1)";

pub(super) const TIME_SQLX: &str =
    "UPDATE _sqlx_migrations SET execution_time = $2 WHERE version = $1::text::bigint";

pub(super) const ADD_DIESEL: &str = "INSERT INTO __diesel_schema_migrations (version) VALUES ($1)";

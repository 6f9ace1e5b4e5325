//! The tables as the code sees them. `migrations/` creates the database; a test compares the two.
//!
//! Each struct is a row: `row!` reads its fields by name, and `enum_def` makes the names of its table and columns
//! (`CounterIden::Count`) for sea-query. A field declares its Rust type, `Option` if it may be NULL, and the column's
//! type in PostgreSQL. Matching types: `i64` bigint, `String` text, `Vec<String>` text[], `Vec<u8>` bytea, `uuid::Uuid`
//! uuid, `rust_decimal::Decimal` numeric, `chrono::DateTime<Utc>` timestamp with time zone, `chrono::NaiveDate` date,
//! `serde_json::Value` jsonb, and `tokio_postgres::types::Json<T>` jsonb as a struct.

#![allow(
    dead_code,
    reason = "a table has columns that no statement names, and its list is for a test"
)]

use chrono::{DateTime, Utc};
use sea_query::enum_def;
use serde::{Deserialize, Serialize};
use shared::db::{Column, FromRow};

/// Every table of `migrations/`, with its columns.
pub(crate) const TABLES: &[(&str, &[Column])] = &[
    ("counter", Counter::COLUMNS),
    ("increment", Increment::COLUMNS),
];

shared::row! {
    /// A counter.
    #[enum_def]
    #[derive(Debug, Serialize)]
    pub(crate) struct Counter {
        pub(crate) id: i64 as "bigint",
        pub(crate) name: String as "text",
        pub(crate) count: i32 as "integer",
        pub(crate) created_at: DateTime<Utc> as "timestamp with time zone",
        pub(crate) updated_at: DateTime<Utc> as "timestamp with time zone",
    }
}

shared::row! {
    /// One change of a counter; a [`Counter`] has many.
    #[enum_def]
    #[derive(Debug, Serialize, Deserialize)]
    pub(crate) struct Increment {
        pub(crate) id: i64 as "bigint",
        pub(crate) counter_id: i64 as "bigint",
        pub(crate) amount: i32 as "integer",
        pub(crate) created_at: DateTime<Utc> as "timestamp with time zone",
    }
}

//! The tables, as the code sees them.
//!
//! Each struct is a row; `enum_def` makes the names of its table and columns (`CounterIden::Count`) for sea-query.
//! The database itself is made by `migrations/`.

use chrono::{DateTime, Utc};
use sea_query::enum_def;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

/// A counter.
#[enum_def]
#[derive(Debug, Serialize)]
pub(crate) struct Counter {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) count: i32,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// One change of a counter: many of them belong to one [`Counter`].
#[enum_def]
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Increment {
    pub(crate) id: i64,
    pub(crate) counter_id: i64,
    pub(crate) amount: i32,
    pub(crate) created_at: DateTime<Utc>,
}

/// Every column of [`Counter`]. Named one by one: `SELECT *` would break on the next `ADD COLUMN`.
pub(crate) const COUNTER_COLUMNS: [CounterIden; 5] = [
    CounterIden::Id,
    CounterIden::Name,
    CounterIden::Count,
    CounterIden::CreatedAt,
    CounterIden::UpdatedAt,
];

/// Every column of [`Increment`].
pub(crate) const INCREMENT_COLUMNS: [IncrementIden; 4] = [
    IncrementIden::Id,
    IncrementIden::CounterId,
    IncrementIden::Amount,
    IncrementIden::CreatedAt,
];

impl TryFrom<&Row> for Counter {
    type Error = tokio_postgres::Error;

    fn try_from(row: &Row) -> Result<Self, Self::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            count: row.try_get("count")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

impl TryFrom<&Row> for Increment {
    type Error = tokio_postgres::Error;

    fn try_from(row: &Row) -> Result<Self, Self::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            counter_id: row.try_get("counter_id")?,
            amount: row.try_get("amount")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

//! A table as a value, and how many rows it has.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use shared::Db;

use super::{
    rolled_back::{Access, rolled_back},
    tables::tables,
};
use crate::database::quoted;

/// All tables together are counted for no longer.
const LIMIT: Duration = Duration::from_secs(1);

/// A larger one is not counted.
const MOST_BYTES: i64 = 32 << 20;

#[derive(Debug, Deserialize)]
pub(in crate::devtools) struct Table {
    schema: String,
    name: String,
    pub(in crate::devtools) kind: String,
    /// Of its rows alone, about.
    #[serde(default)]
    bytes: i64,
    pub(in crate::devtools) estimated_rows: Option<i64>,
    pub(in crate::devtools) comment: Option<String>,
    #[serde(default, deserialize_with = "or_none")]
    pub(in crate::devtools) columns: Vec<Column>,
    /// Names of columns.
    #[serde(default, deserialize_with = "or_none")]
    pub(in crate::devtools) primary_key: Vec<String>,
    #[serde(default, deserialize_with = "or_none")]
    pub(in crate::devtools) indexes: Vec<String>,
    #[serde(default, deserialize_with = "or_none")]
    pub(in crate::devtools) foreign_keys: Vec<ForeignKey>,
    #[serde(default, deserialize_with = "or_none")]
    pub(in crate::devtools) checks: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(in crate::devtools) struct Column {
    pub(in crate::devtools) name: String,
    #[serde(rename = "type")]
    pub(in crate::devtools) ty: String,
    pub(in crate::devtools) nullable: bool,
    pub(in crate::devtools) default: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(in crate::devtools) struct ForeignKey {
    pub(in crate::devtools) name: String,
    pub(in crate::devtools) definition: String,
}

/// `json_agg` of nothing is null.
fn or_none<'de, D, T>(sent: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(sent)?.unwrap_or_default())
}

impl Table {
    /// With its schema, as people write it.
    pub(in crate::devtools) fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// For a statement.
    pub(in crate::devtools) fn quoted_name(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    /// Whether its rows can be counted at once; those of a view are computed, or are not there yet.
    fn is_counted(&self) -> bool {
        self.kind == "table" && self.bytes <= MOST_BYTES
    }
}

/// Those whose name contains `part`.
pub(in crate::devtools) async fn found_tables(db: &Db, part: &str) -> Result<Vec<Table>, String> {
    let found = tables(db, part).await?;
    serde_json::from_value(found).map_err(|error| error.to_string())
}

/// The number of rows of each, where that is quickly counted.
pub(in crate::devtools) async fn counts(db: &Db, tables: &[Table]) -> Vec<Option<i64>> {
    let counted: Vec<_> = tables.iter().map(Table::is_counted).collect();
    let parts = tables.iter().zip(&counted).filter(|(_, counted)| **counted);
    let parts = parts.map(|(table, _)| format!("(SELECT count(*) FROM {})", table.quoted_name()));
    let sql = format!(
        "SELECT ARRAY[{}]::int8[]",
        parts.collect::<Vec<_>>().join(", ")
    );
    let rows = rolled_back(
        db,
        ("counting rows", Access::Reads),
        LIMIT,
        async |client| client.query_typed(&sql, &[]).await,
    );
    let found: Vec<i64> = match rows.await {
        Ok(rows) => rows
            .first()
            .and_then(|row| row.try_get(0).ok())
            .unwrap_or_default(),
        Err(_) => Vec::new(), // the estimates are shown
    };
    let mut found = found.into_iter();
    counted
        .iter()
        .map(|counted| counted.then(|| found.next()).flatten())
        .collect()
}

//! Loads the database's own types before a connection is used, behind a pooler.
//!
//! tokio-postgres looks up each type with prepared statements that it keeps for the next lookup, but behind a pooler
//! those are gone by then. So all types are looked up at once, in one transaction. A type that is created later costs
//! one connection.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio_postgres::{Client, Error, SimpleQueryMessage};

/// The types a row may contain: those of columns and those a cast may name, and arrays of both.
const OWN_TYPES: &str = "\
    SELECT format_type(t.oid, NULL) FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem \
    WHERE t.oid >= 16384 AND has_type_privilege(t.oid, 'USAGE') AND has_schema_privilege(t.typnamespace, 'USAGE') \
    AND (t.typtype IN ('e', 'd', 'r') OR e.typtype IN ('e', 'd', 'r') \
         OR EXISTS (SELECT FROM pg_attribute a WHERE a.atttypid = t.oid AND a.attnum > 0 AND NOT a.attisdropped))";

/// PostgreSQL allows 1664 columns in a SELECT list.
const MAX_COLUMNS: usize = 1000;

/// Statements that met a type which [`OWN_TYPES`] does not list: a whole row, or a type created since.
#[derive(Debug, Default)]
pub(super) struct MissedTypes(Mutex<BTreeSet<String>>);

impl MissedTypes {
    pub(super) fn add(&self, sql: &str) {
        self.all().insert(sql.to_owned());
    }

    fn all(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes tokio-postgres look up all types, in one transaction.
pub(super) async fn load_types(client: &Client, missed_types: &MissedTypes) -> Result<(), Error> {
    client.batch_execute("BEGIN").await?;
    let named = client.simple_query(OWN_TYPES).await?;
    let named: Vec<_> = named
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(format!("NULL::{}", row.get(0)?)),
            _ => None,
        })
        .collect();
    let lists = named.chunks(MAX_COLUMNS);
    let lists = lists.map(|some| format!("SELECT {}", some.join(", ")));
    let learned: Vec<String> = missed_types.all().iter().cloned().chain(lists).collect();
    for sql in learned {
        // Its table may be gone, for example. The types that this skips are loaded when they are next used.
        if client.prepare(&sql).await.is_err() {
            missed_types.all().clear();
            return client.batch_execute("ROLLBACK; DEALLOCATE ALL").await;
        }
    }
    client.batch_execute("DEALLOCATE ALL; COMMIT").await
}

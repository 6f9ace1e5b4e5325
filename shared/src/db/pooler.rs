//! Behind a pooler that lends a session for one transaction at a time: each statement is a transaction of its own.
//!
//! Also makes the database's own types known to a connection before anybody uses it. tokio-postgres asks the server
//! once for each, with prepared statements that it keeps for the next type; behind a pooler they are gone by then. So
//! the types are asked for all at once. One that is made later costs the connection, once.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio_postgres::{Client, Error, Row, SimpleQueryMessage};

use super::{
    book::Line,
    error::{DbError, is_stale},
    lane::{Db, Params},
    mark::refuse_marks,
};

/// What may come in a row: what a column is of, and what a cast may name, alone and in an array.
const OWN_TYPES: &str = "\
    SELECT format_type(t.oid, NULL) FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem \
    WHERE t.oid >= 16384 AND has_type_privilege(t.oid, 'USAGE') AND has_schema_privilege(t.typnamespace, 'USAGE') \
    AND (t.typtype IN ('e', 'd', 'r') OR e.typtype IN ('e', 'd', 'r') \
         OR EXISTS (SELECT FROM pg_attribute a WHERE a.atttypid = t.oid AND a.attnum > 0 AND NOT a.attisdropped))";

/// A target list may be no longer than 1664.
const AT_ONCE: usize = 1000;

/// Statements whose types were not in the list: of a whole row, of a type made since.
#[derive(Debug, Default)]
pub(super) struct Lessons(Mutex<BTreeSet<String>>);

impl Lessons {
    pub(super) fn add(&self, sql: &str) {
        self.all().insert(sql.to_owned());
    }

    fn all(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has tokio-postgres ask for all types, in one transaction.
pub(super) async fn learn_types(client: &Client, lessons: &Lessons) -> Result<(), Error> {
    client.batch_execute("BEGIN").await?;
    let named = client.simple_query(OWN_TYPES).await?;
    let named: Vec<_> = named
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(format!("NULL::{}", row.get(0)?)),
            _ => None,
        })
        .collect();
    let lists = named.chunks(AT_ONCE);
    let lists = lists.map(|some| format!("SELECT {}", some.join(", ")));
    let learned: Vec<String> = lessons.all().iter().cloned().chain(lists).collect();
    for sql in learned {
        // Of a table that is gone, say. What is missed by it is learned when it is used, if ever.
        if client.prepare(&sql).await.is_err() {
            lessons.all().clear();
            return client.batch_execute("ROLLBACK; DEALLOCATE ALL").await;
        }
    }
    client.batch_execute("DEALLOCATE ALL; COMMIT").await
}

impl Db {
    pub(super) async fn query_behind_a_pooler(
        &self,
        line: Line,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, DbError> {
        refuse_marks(sql, line)?;
        match self.query_once(line, sql, params).await {
            Err(error) if met_a_new_type(&error) => self.query_once(line, sql, params).await,
            result => result,
        }
    }

    async fn query_once(
        &self,
        line: Line,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, DbError> {
        let tx = self.begin(line).await?;
        let rows = tx.query(sql, params).await?;
        tx.commit().await?;
        Ok(rows)
    }

    pub(super) async fn execute_behind_a_pooler(
        &self,
        line: Line,
        sql: &str,
        params: Params<'_>,
    ) -> Result<u64, DbError> {
        refuse_marks(sql, line)?;
        match self.execute_once(line, sql, params).await {
            Err(error) if met_a_new_type(&error) => self.execute_once(line, sql, params).await,
            result => result,
        }
    }

    async fn execute_once(
        &self,
        line: Line,
        sql: &str,
        params: Params<'_>,
    ) -> Result<u64, DbError> {
        let tx = self.begin(line).await?;
        let changed = tx.execute(sql, params).await?;
        tx.commit().await?;
        Ok(changed)
    }
}

/// Nothing has run then: the statement was being prepared. Its connection is not used again, and the next one knows
/// the type.
fn met_a_new_type(error: &DbError) -> bool {
    matches!(error, DbError::Statement(error) if is_stale(error))
}

//! What is in the database: tables with columns, indexes and keys, as one JSON value that PostgreSQL makes.

use std::time::Duration;

use serde_json::Value;
use shared::Db;
use tokio_postgres::types::Type;

use super::rolled_back::{Access, rolled_back};

const LIMIT: Duration = Duration::from_secs(3);

/// `$1`: a part of the table's name.
const TABLES: &str = "\
SELECT coalesce(json_agg(json_build_object(
         'schema', n.nspname, 'name', c.relname,
         'kind', CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
                                WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END,
         'bytes', c.relpages::int8 * current_setting('block_size')::int8, 'estimated_rows', CASE WHEN c.reltuples >= 0 THEN c.reltuples::int8 END,
         'comment', obj_description(c.oid, 'pg_class'),
         'columns', (
           SELECT json_agg(json_build_object(
                    'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'nullable', NOT a.attnotnull,
                    'default', pg_get_expr(d.adbin, d.adrelid)) ORDER BY a.attnum)
           FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
         'primary_key', (
           SELECT json_agg(a.attname ORDER BY array_position(i.indkey::int2[], a.attnum))
           FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
           WHERE i.indrelid = c.oid AND i.indisprimary),
         'indexes', (
           SELECT json_agg(pg_get_indexdef(i.indexrelid) ORDER BY i.indexrelid)
           FROM pg_index i WHERE i.indrelid = c.oid),
         'foreign_keys', (
           SELECT json_agg(json_build_object('name', k.conname, 'definition', pg_get_constraintdef(k.oid)) ORDER BY k.conname)
           FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f'),
         'checks', (
           SELECT json_agg(pg_get_constraintdef(k.oid) ORDER BY k.conname)
           FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c')
       ) ORDER BY n.nspname, c.relname), '[]') AS tables
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND position($1::text IN c.relname::text) > 0";

/// Those whose name contains `part`; an empty one is in all names.
pub(in crate::devtools) async fn tables(db: &Db, part: &str) -> Result<Value, String> {
    let who = ("the tables", Access::Reads);
    let rows = rolled_back(db, who, LIMIT, async |client| {
        client.query_typed(TABLES, &[(&part, Type::TEXT)]).await
    });
    let rows = rows.await.map_err(|fault| fault.to_string())?;
    let row = rows.first().expect("an aggregate has one row");
    row.try_get(0).map_err(|error| error.to_string())
}

//! Rows as structs: every type there and back, what does not fit, and a schema that agrees with the database.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{Host, lab};

/// `POST /plain` and `POST /built` insert what they get and answer with what the database then holds.
const SAMPLES: &str = r#"
    use chrono::{DateTime, NaiveDate, Utc};
    use rust_decimal::Decimal;
    use sea_query::{Query, enum_def};
    use serde_json::Value;
    use shared::db::{FromRow, Query as Statement};
    use uuid::Uuid;

    shared::row! {
        #[enum_def]
        #[derive(serde::Serialize, serde::Deserialize)]
        pub(crate) struct Sample {
            key: Uuid,
            at: DateTime<Utc>,
            day: NaiveDate,
            r#type: Value,
            amount: Decimal,
            tags: Vec<String>,
            bytes: Vec<u8>,
            key_or: Option<Uuid>,
            at_or: Option<DateTime<Utc>>,
            day_or: Option<NaiveDate>,
            json_or: Option<Value>,
            amount_or: Option<Decimal>,
            tags_or: Option<Vec<String>>,
            bytes_or: Option<Vec<u8>>,
        }
    }

    async fn plain(State(app): State<AppState>, Json(s): Json<Sample>) -> Result<Json<Sample>, crate::error::AppError> {
        let sql = "INSERT INTO sample VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING *";
        let row = app.db.query_one(sql, &[
            &s.key, &s.at, &s.day, &s.r#type, &s.amount, &s.tags, &s.bytes,
            &s.key_or, &s.at_or, &s.day_or, &s.json_or, &s.amount_or, &s.tags_or, &s.bytes_or,
        ]).await?;
        Ok(Json(Sample::from_row(&row)?))
    }

    async fn built(State(app): State<AppState>, Json(s): Json<Sample>) -> Result<Json<Sample>, crate::error::AppError> {
        let insert = Query::insert()
            .into_table(SampleIden::Table)
            .columns(Sample::names())
            .values_panic([
                s.key.into(), s.at.into(), s.day.into(), s.r#type.into(), s.amount.into(), s.tags.into(), s.bytes.into(),
                s.key_or.into(), s.at_or.into(), s.day_or.into(), s.json_or.into(), s.amount_or.into(),
                s.tags_or.into(), s.bytes_or.into(),
            ])
            .returning(Query::returning().columns(Sample::names()))
            .to_owned();
        let row = app.db.fetch_one(Statement::new(&insert)).await?;
        Ok(Json(Sample::from_row(&row)?))
    }

    Router::new().route("/plain", post(plain)).route("/built", post(built))
"#;

#[tokio::test]
async fn every_type_goes_there_and_back_in_plain_sql_and_in_built() {
    let host = Host::with_built_lab(lab!(SAMPLES)).await;
    let observer = host.observe().await;
    observer
        .batch_execute(
            "CREATE TABLE sample (
                key uuid NOT NULL, at timestamptz NOT NULL, day date NOT NULL, type jsonb NOT NULL,
                amount numeric NOT NULL, tags text[] NOT NULL, bytes bytea NOT NULL,
                key_or uuid, at_or timestamptz, day_or date, json_or jsonb,
                amount_or numeric, tags_or text[], bytes_or bytea
            )",
        )
        .await
        .unwrap();
    let full = json!({
        "key": "67e55044-10b1-426f-9247-bb680e5fe0c8", "at": "2026-02-03T04:05:06.789012Z", "day": "1969-12-31",
        "type": { "deep": [1, null, "ä'$1"] }, "amount": "-7922816251426433759354395.0335",
        "tags": ["", "a,b", "{\"c\"}", "NULL"], "bytes": [0, 255, 39],
        "key_or": "00000000-0000-0000-0000-000000000000", "at_or": "1815-12-10T00:00:00Z", "day_or": "2400-02-29",
        "json_or": ["x"], "amount_or": "0.10", "tags_or": [], "bytes_or": [],
    });
    let mut bare = full.clone();
    for (name, value) in bare.as_object_mut().unwrap() {
        if name.ends_with("_or") {
            *value = Value::Null;
        }
    }
    for path in ["/plain", "/built"] {
        for sample in [&full, &bare] {
            let sent = host.client.post(host.url(path)).json(sample).send();
            let answer = sent.await.unwrap().text().await.unwrap();
            let back: Value = serde_json::from_str(&answer).unwrap_or_else(|_| json!(answer));
            assert_eq!(&back, sample, "{path}");
        }
    }
    // Not only the same there and back: what PostgreSQL holds is what was meant.
    let sql = "SELECT concat_ws(' ', key, at AT TIME ZONE 'UTC', day, type -> 'deep' ->> 2, amount, tags[3], bytes) AS text,
            num_nonnulls(key_or, at_or, day_or, json_or, amount_or, tags_or, bytes_or) AS given
        FROM sample ORDER BY given";
    let held: Vec<(String, i32)> = observer
        .query(sql, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get("text"), row.get("given")))
        .collect();
    let text = "67e55044-10b1-426f-9247-bb680e5fe0c8 2026-02-03 04:05:06.789012 1969-12-31 ä'$1 \
        -7922816251426433759354395.0335 {\"c\"} \\x00ff27";
    let wanted = [0, 0, 7, 7].map(|given| (text.to_owned(), given));
    assert_eq!(held, wanted);
}

#[tokio::test]
async fn a_row_that_does_not_fit_names_column_wanted_and_found() {
    let host = Host::with_built_lab(lab!(r#"
        use shared::db::FromRow;
        shared::row! {
            #[derive(Debug)]
            #[allow(dead_code)]
            struct Paint { id: i32, colour: String, price: Option<rust_decimal::Decimal>, dried: Option<chrono::DateTime<chrono::Utc>> }
        }
        async fn paint(State(app): State<AppState>, sql: String) -> Result<String, crate::error::AppError> {
            Ok(format!("{:?}", Paint::from_rows(&app.db.query(&sql, &[]).await?)?))
        }
        Router::new().route("/paint", post(paint))
        "#))
    .await;
    let wrong =
        |text: &str| json!({ "error": { "code": "database", "message": text } }).to_string();
    for (sql, said) in [
        (
            "SELECT 1 AS id, 'red' AS colour, 2.50 AS price, NULL::timestamptz AS dried, 7 AS more",
            "[Paint { id: 1, colour: \"red\", price: Some(2.50), dried: None }]".to_owned(),
        ),
        (
            "SELECT 1 AS id, 'red' AS name",
            wrong("the query returns no column `colour`; it has id, name"),
        ),
        (
            "SELECT 1 AS id, 2 AS colour",
            wrong("column `colour` is int4 and does not fit String"),
        ),
        (
            "SELECT 1 AS id, ARRAY['red'] AS colour",
            wrong("column `colour` is _text and does not fit String"),
        ),
        (
            "SELECT NULL::int AS id",
            wrong("column `id` is NULL and does not fit i32; Option<i32> would"),
        ),
        (
            "SELECT 1 AS id, 'red' AS colour, 2.50 AS price, now()::timestamp AS dried",
            wrong("column `dried` is timestamp and does not fit Option<DateTime<Utc>>"),
        ),
        // A value that the type has no room for; which one is not told.
        (
            "SELECT 1 AS id, 'red' AS colour, 'NaN'::numeric AS price, NULL::timestamptz AS dried",
            wrong("column `price` is numeric and its value does not fit Option<Decimal>"),
        ),
    ] {
        let sent = host.client.post(host.url("/paint")).body(sql).send();
        assert_eq!(sent.await.unwrap().text().await.unwrap(), said, "{sql}");
    }
    let begin = "column `price` is numeric and its value does not fit";
    assert!(host.log().contains(begin), "logged too");
}

/// What `schema.rs` says; `fits` is whether the field takes a value of the type that is written beside it.
const SCHEMA: &str = r#"
    async fn schema(State(app): State<AppState>) -> Result<Json<Vec<serde_json::Value>>, crate::error::AppError> {
        let mut all = Vec::new();
        for (table, columns) in crate::schema::TABLES {
            for column in *columns {
                let oid = app.db.query_one("SELECT $1::text::regtype::oid AS oid", &[&column.sql]).await?;
                let of: Option<u32> = shared::db::column(&oid, "oid")?;
                let of = of.and_then(tokio_postgres::types::Type::from_oid);
                all.push(serde_json::json!({
                    "table": table, "column": column.name, "sql": column.sql, "nullable": (column.nullable)(),
                    "fits": of.is_none_or(|of| (column.fits)(&of)),
                }));
            }
        }
        Ok(Json(all))
    }
    Router::new().route("/schema", get(schema))
"#;

/// `table.column` to its type and NOT NULL, in words.
type Schema = BTreeMap<String, String>;

fn in_words(sql: &str, nullable: bool) -> String {
    format!("{sql}{}", if nullable { "" } else { " NOT NULL" })
}

async fn in_the_code(host: &Host) -> Schema {
    let text = host.text("/schema").await;
    let columns: Vec<Value> = serde_json::from_str(&text).expect(&text);
    let describe = |column: &Value| {
        let name = format!(
            "{}.{}",
            column["table"].as_str().unwrap(),
            column["column"].as_str().unwrap()
        );
        let sql = column["sql"].as_str();
        let sql = sql.unwrap_or_else(|| panic!("{name} has no `as \"…\"`"));
        assert_eq!(
            column["fits"], true,
            "{name}: its Rust type does not fit {sql}"
        );
        (name, in_words(sql, column["nullable"] == true))
    };
    columns.iter().map(describe).collect()
}

async fn in_the_database(observer: &tokio_postgres::Client) -> Schema {
    let sql = "SELECT relname || '.' || attname, format_type(atttypid, atttypmod), attnotnull
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
            AND relname <> 'refinery_schema_history'";
    let rows = observer.query(sql, &[]).await.unwrap();
    rows.iter()
        .map(|row| (row.get(0), in_words(row.get(1), !row.get::<_, bool>(2))))
        .collect()
}

/// One line for each column that is not the same in both.
fn differences(code: &Schema, database: &Schema) -> Vec<String> {
    let columns: BTreeSet<&String> = code.keys().chain(database.keys()).collect();
    columns
        .into_iter()
        .filter(|&column| code.get(column) != database.get(column))
        .map(|column| {
            let [code, database] =
                [code, database].map(|side| side.get(column).map_or("nothing", String::as_str));
            format!("{column}: {code} in schema.rs, {database} in the database")
        })
        .collect()
}

#[tokio::test]
async fn the_schema_agrees_with_the_migrated_database() {
    let host = Host::with_built_lab(lab!(SCHEMA)).await;
    let observer = host.observe().await;
    let code = in_the_code(&host).await;
    let none: [&str; 0] = [];
    assert_eq!(differences(&code, &in_the_database(&observer).await), none);

    // That it would tell: the same after changes that a migration may make.
    observer
        .batch_execute(
            "ALTER TABLE counter DROP COLUMN updated_at, ALTER COLUMN count TYPE bigint,
                ALTER COLUMN name TYPE varchar(100), ADD COLUMN colour text;
             ALTER TABLE increment ALTER COLUMN amount DROP NOT NULL",
        )
        .await
        .unwrap();
    assert_eq!(
        differences(&code, &in_the_database(&observer).await),
        [
            "counter.colour: nothing in schema.rs, text in the database",
            "counter.count: integer NOT NULL in schema.rs, bigint NOT NULL in the database",
            "counter.name: text NOT NULL in schema.rs, character varying(100) NOT NULL in the database",
            "counter.updated_at: timestamp with time zone NOT NULL in schema.rs, nothing in the database",
            "increment.amount: integer NOT NULL in schema.rs, integer in the database",
        ]
    );
}

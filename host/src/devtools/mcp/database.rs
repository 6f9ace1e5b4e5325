//! `schema`, `query`, `explain` and `migrations`: the app's database, read and never changed.

use rmcp::{
    handler::server::router::tool::ToolRoute,
    schemars::{self, JsonSchema},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Mcp,
    tool::{Answer, Effect, Nothing, tool},
};
use crate::devtools::{
    requests::explain,
    sql::{self, Plan},
};

const USUAL: usize = 100;

/// Beyond this a schema fills a model's memory, and its tables are listed by name.
const MOST_BYTES: usize = 40 << 10;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tables {
    /// A part of the name of tables. All unless given.
    #[serde(default)]
    table: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    /// One query in PostgreSQL's SQL: SELECT, WITH, VALUES or TABLE.
    sql: String,
    /// How many rows at most: 100 unless given, and no more than 1000.
    max_rows: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Explain {
    /// The statement. It may have parameters like $1.
    sql: Option<String>,
    /// Instead of `sql`: the number of a request, to explain a statement that it ran, with its parameters.
    request: Option<u64>,
    /// Which of its `events`, counted from 0.
    statement: Option<usize>,
}

pub(super) fn tools() -> Vec<ToolRoute<Mcp>> {
    vec![
        tool(
            ("schema", Effect::None),
            "The tables and views of the app's database: columns with type, nullability and default, indexes, foreign \
             keys, checks, estimated number of rows. If there are too many, only their names: then ask for one with `table`.",
            schema,
        ),
        tool(
            ("query", Effect::None),
            "Runs one SQL query on the app's database, in a transaction that can only read and is rolled back, for at \
             most 10 seconds. Values are text as PostgreSQL writes it; those in columns named like secrets are ***. \
             `more` says that there are more rows. To write, use the app itself, or a migration.",
            query,
        ),
        tool(
            ("explain", Effect::None),
            "The plan of a statement. One that reads is run for it, so the plan has real times, row counts and buffers \
             (`was_run`); one that writes, or has parameters without values, is only planned. Give `sql`, or `request` \
             and `statement` for a statement of a request with the parameters it had.",
            explain_statement,
        ),
        tool(
            ("migrations", Effect::None),
            "Which migrations are applied and which are pending, what is being applied and what it waits for, and why \
             the last one failed, with file and line. A saved migration is applied at once; do not run it yourself.",
            migrations,
        ),
    ]
}

async fn schema(mcp: Mcp, asked: Tables) -> Answer {
    let tables = sql::tables(&mcp.sources.services.database.db, &asked.table).await?;
    if tables.to_string().len() <= MOST_BYTES {
        return Ok(json!({ "tables": tables }));
    }
    let all = tables.as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |table: &Value| json!([table["schema"], table["name"]]);
    Ok(json!({
        "too_many": "ask for some of them with `table`",
        "tables": all.iter().map(name).collect::<Value>(),
    }))
}

async fn query(mcp: Mcp, asked: Query) -> Answer {
    let most = asked.max_rows.unwrap_or(USUAL);
    let rows = sql::query(&mcp.sources.services.database.db, &asked.sql, most).await?;
    Ok(json!(rows))
}

async fn explain_statement(mcp: Mcp, asked: Explain) -> Answer {
    let db = &mcp.sources.services.database.db;
    let (plan, was_run) = match (asked.sql, asked.request, asked.statement) {
        (Some(sql), None, None) => sql::explain_text(db, &sql).await?,
        (None, Some(id), Some(number)) => {
            let request = mcp.sources.requests.find(id);
            let request = request.ok_or("this request is not kept")?;
            let statement = explain::statement(&request, number);
            match explain::explain(db, statement.as_ref(), false).await {
                Plan::Lines(lines) => (lines, true),
                Plan::None(why) => return Err(why),
                Plan::Writes => {
                    return Err("this statement writes: pass its text as `sql` to plan it without running it".to_owned());
                }
            }
        }
        _ => return Err("pass either `sql`, or `request` and `statement`".to_owned()),
    };
    Ok(json!({ "was_run": was_run, "plan": plan.join("\n") }))
}

async fn migrations(mcp: Mcp, _: Nothing) -> Answer {
    Ok(json!(&*mcp.sources.services.schema.borrow()))
}

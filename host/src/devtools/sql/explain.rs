//! Plans. What would write is run only if the user asks twice, since sequences and what triggers do elsewhere are not
//! rolled back.

use std::time::Duration;

use shared::{
    Db,
    db::{
        sql::{Token, tokens},
        trace::Value,
    },
};
use tokio_postgres::{
    Client,
    types::{ToSql, Type},
};

use super::rolled_back::{Access, Fault, rolled_back};

const LIMIT: Duration = Duration::from_secs(30);
const WHO: &str = "EXPLAIN";

pub(in crate::devtools) enum Plan {
    Lines(Vec<String>),
    /// The statement would write.
    Writes,
    /// There is none, for this reason.
    None(String),
}

/// The plan of a statement that is run for it, with these parameters.
pub(in crate::devtools) async fn explain(
    db: &Db,
    text: &str,
    params: &[&Value],
    writes: bool,
) -> Plan {
    let access = if writes {
        Access::Writes
    } else {
        Access::Reads
    };
    let lines = rolled_back(db, (WHO, access), LIMIT, async |client| {
        lines(client, "ANALYZE, BUFFERS", text, params).await
    });
    match lines.await {
        Ok(lines) => Plan::Lines(lines),
        Err(fault) if fault.is_write() => Plan::Writes,
        Err(fault) => Plan::None(fault.to_string()),
    }
}

/// The plan of a text, and whether the statement was run for it: only if it reads, and has no parameters, since
/// their values are unknown.
pub(in crate::devtools) async fn explain_text(
    db: &Db,
    text: &str,
) -> Result<(Vec<String>, bool), String> {
    let has_parameters = tokens(text).any(|token| token == Token::Symbol('$'));
    let how = match has_parameters {
        true => "GENERIC_PLAN",
        false => match explain(db, text, &[], false).await {
            Plan::Lines(lines) => return Ok((lines, true)),
            Plan::None(why) => return Err(why),
            Plan::Writes => "COSTS",
        },
    };
    let planned = rolled_back(db, (WHO, Access::Reads), LIMIT, async |client| {
        lines(client, how, text, &[]).await
    });
    let planned: Result<_, Fault> = planned.await;
    planned
        .map(|lines| (lines, false))
        .map_err(|fault| match fault.to_string() {
            why if why.contains("generic_plan") => {
                "a plan for any parameters needs PostgreSQL 16: write values in place of $1, $2"
                    .to_owned()
            }
            why => why,
        })
}

async fn lines(
    client: &Client,
    how: &str,
    text: &str,
    params: &[&Value],
) -> Result<Vec<String>, tokio_postgres::Error> {
    let params: Vec<(&(dyn ToSql + Sync), Type)> = params
        .iter()
        .map(|value| (value as _, value.ty().clone()))
        .collect();
    let sql = format!("EXPLAIN ({how}) {text}");
    let rows = client.query_typed(&sql, &params).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

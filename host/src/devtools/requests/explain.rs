//! The plan of a statement that a request has run, with its original parameters and today's data.
//!
//! Runs the statement in a transaction that is rolled back; one that would write only if the user asks twice, since
//! sequences and what triggers do elsewhere are not rolled back.

use std::time::Duration;

use axum::http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;
use shared::{
    Db,
    db::{
        describe,
        trace::{Statement, What},
    },
    request::Request,
};
use tokio_postgres::{
    error::SqlState,
    types::{ToSql, Type},
};

use crate::{
    devtools::buttons::Token,
    server::{Answered, is_planned},
};

/// For the statement; all of it may take twice as long.
const LIMIT: Duration = Duration::from_secs(30);

/// The form.
#[derive(Deserialize)]
pub(super) struct Asked {
    pub(super) token: Option<String>,
    /// The user knows that the statement writes.
    #[serde(default)]
    pub(super) writes: bool,
}

pub(super) enum Plan {
    Lines(Vec<String>),
    /// The statement would write.
    Writes,
    /// There is none, for this reason.
    None(String),
}

/// Whether PostgreSQL has a plan for it, which may be shown: it quotes the parameters.
pub(super) fn can(statement: &Statement) -> bool {
    // Another driver does not say with which parameters.
    let has_params = !statement.text.contains('$') || !statement.params.is_empty();
    let mut params = statement.params.iter();
    statement.whole
        && has_params
        && is_planned(&statement.text)
        && params.all(|param| param.value.is_some() && !param.is_masked)
}

/// The statement of this number among all that the request has done.
pub(super) fn statement(request: &Answered, number: usize) -> Option<Statement> {
    let mut events = request.recorded().events.into_iter();
    match events.nth(number)?.what {
        What::Statement(statement) => Some(*statement),
        _ => None,
    }
}

/// Asks PostgreSQL.
pub(super) async fn explain(db: &Db, statement: Option<&Statement>, writes: bool) -> Plan {
    let Some(statement) = statement.filter(|statement| can(statement)) else {
        let why = "this request has no such statement, or not all of it was kept";
        return Plan::None(why.to_owned());
    };
    let asking = Request::of_the_host("EXPLAIN");
    let run = asking.scope(run(db, statement, writes));
    match tokio::time::timeout(LIMIT + LIMIT, run).await {
        Ok(plan) => plan.unwrap_or_else(Plan::None),
        Err(_) => Plan::None("the database has not answered in time".to_owned()),
    }
}

async fn run(db: &Db, statement: &Statement, writes: bool) -> Result<Plan, String> {
    let checkout = db.checkout().await.map_err(|error| error.to_string())?;
    let client = checkout.client();
    let mode = if writes { "" } else { " READ ONLY" };
    // A pooler does not know the session's own limit.
    let limit = LIMIT.as_millis();
    let begin = format!("BEGIN{mode}; SET LOCAL statement_timeout = {limit}");
    let begun = client.batch_execute(&begin).await;
    begun.map_err(|error| describe(&error))?;
    let values = statement
        .params
        .iter()
        .filter_map(|param| param.value.as_ref());
    let params: Vec<(&(dyn ToSql + Sync), Type)> = values
        .map(|value| (value as _, value.ty().clone()))
        .collect();
    let sql = format!("EXPLAIN (ANALYZE, BUFFERS) {}", statement.text);
    let explained = client.query_typed(&sql, &params).await;
    // The checkout rolls back when it is dropped; here, so that locks do not last until then.
    let ended = client.batch_execute("ROLLBACK").await;
    let rows = match explained {
        Ok(rows) => rows,
        Err(error) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => {
            return Ok(Plan::Writes);
        }
        Err(error) => return Err(describe(&error)),
    };
    ended.map_err(|error| describe(&error))?;
    Ok(Plan::Lines(rows.iter().map(|row| row.get(0)).collect()))
}

/// `id` is that of the request.
pub(super) fn page(plan: &Plan, id: u64, text: &str, token: &Token) -> (StatusCode, Markup) {
    let content = html! {
        p { a href="/__dev/requests" { "Requests" } " / " a href={ "/__dev/requests/" (id) } { (id) } " / EXPLAIN" }
        h1 { "EXPLAIN" }
        pre.source tabindex="0" role="region" aria-label="Statement" { (text) }
        @match plan {
            Plan::Lines(lines) => {
                h2 { "Plan" }
                pre.source tabindex="0" role="region" aria-label="Plan" { (lines.join("\n")) }
                p.quiet { "With its original parameters and today's data, in a transaction that was rolled back." }
            }
            Plan::Writes => {
                p { "This statement writes. To explain it, it has to run; it is rolled back then, but for sequences and what its triggers do outside of the database." }
                form method="post" {
                    input type="hidden" name="token" value=(token.as_str());
                    input type="hidden" name="writes" value="true";
                    button { "Run it and roll it back" }
                }
            }
            Plan::None(why) => { p.bad { (why) } }
        }
    };
    let status = match plan {
        Plan::Lines(_) => StatusCode::OK,
        Plan::Writes => StatusCode::CONFLICT,
        Plan::None(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (status, content)
}

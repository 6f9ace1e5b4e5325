//! The plan of a statement that a request has run, with its original parameters and today's data.
//!
//! One that would write is run only if the user asks twice.

use axum::http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;
use shared::{
    Db,
    db::trace::{Statement, What},
};

use crate::{
    devtools::{
        buttons::Token,
        sql::{self, Plan},
    },
    server::{Answered, is_planned},
};

/// The form.
#[derive(Deserialize)]
pub(super) struct Asked {
    pub(super) token: Option<String>,
    /// The user knows that the statement writes.
    #[serde(default)]
    pub(super) writes: bool,
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
pub(in crate::devtools) fn statement(request: &Answered, number: usize) -> Option<Statement> {
    let mut events = request.recorded().events.into_iter();
    match events.nth(number)?.what {
        What::Statement(statement) => Some(*statement),
        _ => None,
    }
}

/// Asks PostgreSQL.
pub(in crate::devtools) async fn explain(
    db: &Db,
    statement: Option<&Statement>,
    writes: bool,
) -> Plan {
    let Some(statement) = statement.filter(|statement| can(statement)) else {
        let why = "this request has no such statement, or not all of it was kept";
        return Plan::None(why.to_owned());
    };
    let params = statement.params.iter();
    let params: Vec<_> = params.filter_map(|param| param.value.as_ref()).collect();
    sql::explain(db, &statement.text, &params, writes).await
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

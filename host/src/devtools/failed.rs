//! The page for a 5xx after a database error: PostgreSQL's message, the statement, the call.
//!
//! Only for a browser that would otherwise get something other than a page. All other clients get the app's own
//! response.

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use maud::html;
use shared::db::Failure;

use super::pages::{Editor, answer_html, long, marked, request};
use crate::server::RequestInfo;

/// The page, with the status that the app gave.
pub(super) fn page(
    failure: &Failure,
    status: StatusCode,
    info: &RequestInfo,
    generation: u64,
    editor: &Editor,
) -> Response<Body> {
    let Failure {
        at,
        statement,
        sqlstate,
        message,
        detail,
        hint,
        position,
    } = failure;
    let content = html! {
        p.kind { "The app answered " (status.as_u16()) " after a database error" }
        (long(message))
        p {
            @if let Some(code) = sqlstate { "SQLSTATE " code { (code) } " " }
            "at " (editor.link(at.file(), at.line(), at.column()))
            " in generation " (generation) ", answering " code { (info.method) " " (info.target()) }
        }
        @if let Some(detail) = detail { p { "Detail: " (detail) } }
        @if let Some(hint) = hint { p { "Hint: " (hint) } }
        @if let Some(statement) = statement {
            h2 { "Statement" }
            pre.source.said tabindex="0" role="region" aria-label="The statement" { (marked(statement, *position)) }
        }
        h2 { "Call" }
        (editor.source(at.file(), at.line()))
        h2 { "Request" }
        (request(info))
    };
    answer_html(status, &format!("Database: {message}"), &content)
}

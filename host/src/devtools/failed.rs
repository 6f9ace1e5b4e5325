//! The page for a 5xx after a database error: PostgreSQL's message, the statement, the call.
//!
//! Only for a browser that would otherwise get something other than a page. All other clients get the app's own
//! response.

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use maud::{Markup, html};
use shared::db::Failure;

use super::pages::{Editor, answer_html, long, request};
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

/// The statement with the word that PostgreSQL points at marked.
fn marked(statement: &str, position: Option<usize>) -> Markup {
    let start = position.and_then(|position| {
        let (start, _) = statement.char_indices().nth(position.checked_sub(1)?)?;
        Some(start)
    });
    let Some((before, rest)) = start.map(|start| statement.split_at(start)) else {
        return html! { (statement) };
    };
    let end = rest
        .char_indices()
        .skip(1)
        .find(|(_, c)| !c.is_alphanumeric() && !matches!(c, '_' | '"'))
        .map_or(rest.len(), |(end, _)| end);
    html! { (before) mark { (rest[..end]) } (rest[end..]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_at_the_position_is_marked() {
        for (statement, position, shown) in [
            (
                "SELECT nope FROM t",
                Some(8),
                "SELECT <mark>nope</mark> FROM t",
            ),
            (
                "SELECT 'ü', \"nö pe\"",
                Some(13),
                "SELECT 'ü', <mark>\"nö</mark> pe\"",
            ),
            ("SELECT (", Some(9), "SELECT ("),
            ("SELEC", Some(1), "<mark>SELEC</mark>"),
            ("SELECT a", None, "SELECT a"),
            ("SELECT a", Some(0), "SELECT a"),
        ] {
            let html = marked(statement, position).into_string();
            assert_eq!(html.replace("&quot;", "\""), shown);
        }
    }
}

//! What is shown of a request: as JSON, and the masked texts that the page has too.

use axum::http::HeaderMap;
use serde_json::{Value, json};
use shared::db::trace::{Event, Outcome, Statement, What};

use super::list::entry;
use crate::server::{Answered, Excerpt, counted, masked, masked_body, masked_query, ms, repeated};

/// `/__dev/requests/ID.json`.
pub(in crate::devtools) fn document(request: &Answered) -> Value {
    let recorded = request.recorded();
    let timing = request.timing;
    let headers = |headers: &HeaderMap| -> Value {
        let masked = masked(headers);
        masked.map(|(name, value)| json!([name, value])).collect()
    };
    json!({
        "request": entry(request),
        "query": query(request),
        "timing": {
            "held_ms": ms(timing.held),
            "wait_ms": ms(timing.wait),
            "db_ms": ms(timing.db),
            "app_ms": ms(timing.app),
        },
        "events": recorded.events.iter().map(event).collect::<Value>(),
        "left_out": recorded.left_out,
        "repeated": repeated(&recorded.events),
        "request_headers": headers(request.info.unmasked()),
        "request_body": body(&request.bodies.request),
        "response_headers": headers(&request.headers),
        "response_body": body(&request.bodies.response),
    })
}

fn event(event: &Event) -> Value {
    let mut value = match &event.what {
        What::Wait(behind) => json!({ "kind": "wait", "behind": behind }),
        What::Connect => json!({ "kind": "connect" }),
        What::Statement(statement) => of_statement(statement),
        What::Log(line) => json!({
            "kind": "log",
            "level": line.level,
            "target": line.target,
            "message": line.message,
            "at": line.at.as_ref().map(|(file, line)| format!("{file}:{line}")),
        }),
    };
    value["from_ms"] = ms(event.from).into();
    value["took_ms"] = ms(event.took).into();
    value
}

fn of_statement(statement: &Statement) -> Value {
    let params = statement.params.iter().map(|param| &param.shown);
    let mut value = json!({
        "kind": "statement",
        "text": statement.text,
        "params": params.collect::<Vec<_>>(),
        "at": statement.at.map(ToString::to_string),
    });
    match &statement.outcome {
        Outcome::Rows(rows) => value["rows"] = json!(rows),
        Outcome::Failed(code, message) => {
            value["error"] = json!({ "sqlstate": code, "message": message });
        }
        Outcome::Abandoned => value["abandoned"] = true.into(),
    }
    value
}

/// What a statement has answered with.
pub(super) fn rows(rows: Option<u64>) -> String {
    rows.map_or_else(|| "done".to_owned(), |rows| counted(rows, "row"))
}

/// The query of its URL, without the values of what is named like a secret.
pub(super) fn query(request: &Answered) -> Option<String> {
    request.info.uri.query().map(masked_query)
}

/// The beginning of a body, if it is text. `None`: there was none.
pub(super) fn body(excerpt: &Excerpt) -> Option<String> {
    let (bytes, is_whole) = excerpt.so_far();
    if bytes.is_empty() {
        return None;
    }
    let text = match str::from_utf8(&bytes) {
        Ok(text) => text,
        // The cut may be in the middle of a character.
        Err(error) if !is_whole && error.error_len().is_none() => {
            str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return Some("(not text)".to_owned()),
    };
    let shown = masked_body(text, is_whole);
    Some(shown.unwrap_or_else(|| "(not shown: it names something secret)".to_owned()))
}

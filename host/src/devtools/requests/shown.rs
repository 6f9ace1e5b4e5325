//! What is shown of a request: as JSON, and the masked texts that the page has too.

use axum::http::HeaderMap;
use serde_json::{Value, json};
use shared::db::trace::{Event, Outcome, SECRETS, Statement, What};

use super::{
    findings::repeated,
    list::{entry, ms},
};
use crate::server::{Answered, Excerpt, masked};

/// `/__dev/requests/ID.json`.
pub(super) fn document(request: &Answered) -> Value {
    let recorded = request.recorded();
    let timing = request.timing();
    let headers = |headers: &HeaderMap| -> Value {
        masked(headers)
            .map(|(name, value)| json!([name, value]))
            .collect()
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
        "request_headers": request.info.headers().map(|(name, value)| json!([name, value])).collect::<Value>(),
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

/// The query of its URL, without the values of what is named like a secret.
pub(super) fn query(request: &Answered) -> Option<String> {
    request.info.uri.query().map(pairs)
}

fn pairs(text: &str) -> String {
    let pairs = text.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}=***"),
        _ => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// The beginning of a body, if it is text. `None`: there was none.
pub(super) fn body(excerpt: &Excerpt) -> Option<String> {
    let (bytes, is_whole) = excerpt.so_far();
    if bytes.is_empty() {
        return None;
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // The cut may be in the middle of a character.
        Err(error) if !is_whole && error.utf8_error().error_len().is_none() => {
            let valid = error.utf8_error().valid_up_to();
            let mut bytes = error.into_bytes();
            bytes.truncate(valid);
            String::from_utf8(bytes).unwrap_or_default()
        }
        Err(_) => return Some("(not text)".to_owned()),
    };
    Some(match serde_json::from_str(&text) {
        Ok(json) if is_whole => without_secrets(json).to_string(),
        _ if !is_secret(&text) => text,
        _ if is_whole && !text.contains(['<', '\n', ' ']) => pairs(&text),
        _ => "(not shown: it names something secret)".to_owned(),
    })
}

fn without_secrets(json: Value) -> Value {
    match json {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| match is_secret(&name) {
                true => (name, "***".into()),
                false => (name, without_secrets(value)),
            })
            .collect(),
        Value::Array(all) => all.into_iter().map(without_secrets).collect(),
        other => other,
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRETS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_like_a_secret_is_masked() {
        assert_eq!(pairs("a=1&Password=x&b"), "a=1&Password=***&b");
        let json = json!({ "user": "a", "auth": [{ "access_token": "x" }] });
        assert_eq!(
            without_secrets(json),
            json!({ "user": "a", "auth": [{ "access_token": "***" }] })
        );
    }
}

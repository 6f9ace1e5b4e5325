//! What is named like a secret is not shown: fields of a query or a form, fields of JSON, headers.

use std::borrow::Cow;

use axum::http::HeaderMap;
use serde_json::Value;
use shared::db::trace::names_a_secret;

/// Headers with credentials, and those whose names [say so](names_a_secret).
const HEADERS: [&str; 5] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-api-key",
];

/// Headers that hold a URL.
const URLS: [&str; 4] = ["referer", "location", "hx-current-url", "hx-redirect"];

const MASK: &str = "***";

/// Names and values, secrets masked.
pub(crate) fn masked(headers: &HeaderMap) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    headers.iter().map(|(name, value)| {
        let name = name.as_str();
        let value = String::from_utf8_lossy(value.as_bytes());
        let value = match value.split_once('?') {
            _ if HEADERS.contains(&name) || names_a_secret(&name.replace('-', "_")) => MASK.into(),
            Some((path, query)) if URLS.contains(&name) => {
                format!("{path}?{}", masked_query(query)).into()
            }
            _ => value,
        };
        (name, value)
    })
}

/// The fields of a query or a form.
pub(crate) fn masked_query(query: &str) -> String {
    let fields = query.split('&').map(|field| match field.split_once('=') {
        Some((name, _)) if names_a_secret(field) => format!("{name}={MASK}"),
        None if names_a_secret(field) => MASK.to_owned(),
        _ => field.to_owned(),
    });
    fields.collect::<Vec<_>>().join("&")
}

/// A body, of which this may be the beginning only. `None`: it names something secret, where that is not known well
/// enough to be masked.
pub(crate) fn masked_body(text: &str, is_whole: bool) -> Option<String> {
    if !names_a_secret(text) {
        return Some(text.to_owned());
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.[]".contains(c);
    let is_field = |field: &str| {
        let named = field.split_once('=');
        named.is_some_and(|(name, _)| !name.is_empty() && name.chars().all(is_plain))
    };
    match serde_json::from_str(text) {
        Ok(json) if is_whole => Some(masked_json(json).to_string()),
        _ if is_whole && text.split('&').all(is_field) => Some(masked_query(text)),
        _ => None,
    }
}

fn masked_json(json: Value) -> Value {
    match json {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| match names_a_secret(&name) {
                true => (name, MASK.into()),
                false => (name, masked_json(value)),
            })
            .collect(),
        Value::Array(all) => all.into_iter().map(masked_json).collect(),
        Value::String(text) if names_a_secret(&text) => MASK.into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn what_is_named_like_a_secret_is_masked() {
        assert_eq!(masked_query("a=1&Password=x&b"), "a=1&Password=***&b");
        assert_eq!(masked_query("data=%7Btoken%7D"), "data=***");
        let json = r#"{"user":"a","auth":[{"access_token":"x"}]}"#;
        assert_eq!(
            masked_body(json, true).as_deref(),
            Some(r#"{"auth":[{"access_token":"***"}],"user":"a"}"#)
        );
        assert_eq!(
            masked_body("user=a&password=x", true).as_deref(),
            Some("user=a&password=***")
        );
        assert_eq!(
            masked_body("plain text", false).as_deref(),
            Some("plain text")
        );
    }

    #[test]
    fn what_cannot_be_masked_is_not_shown() {
        for text in [
            "password:hunter2",
            "cb({\"token\":\"x\"})",
            "{\"token\":\"abc=",
            "a b token=x y",
        ] {
            assert_eq!(masked_body(text, true), None, "{text}");
        }
        assert_eq!(masked_body("{\"token\":\"x\"}", false), None, "cut off");
    }

    #[test]
    fn headers_with_secrets_are_masked_and_so_are_queries_in_them() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-auth-token", "x"),
            ("referer", "http://localhost/?token=x&page=2"),
            ("accept", "text/html"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let shown: Vec<_> = masked(&headers)
            .map(|(_, value)| value.into_owned())
            .collect();
        assert_eq!(
            shown,
            ["***", "http://localhost/?token=***&page=2", "text/html"]
        );
    }
}

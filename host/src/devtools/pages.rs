//! The host's own pages: layout, response format, and links into the editor.
//!
//! maud escapes all text: a path, a query or a panic message may contain markup.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use axum::{
    Json,
    body::Body,
    http::{Response, StatusCode, header},
    response::{Html, IntoResponse},
};
use maud::{DOCTYPE, Markup, html};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

use crate::server::{RequestInfo, Wants};

const STYLE: &str = include_str!("page.css");

/// What an icon shows: its path, and how that is drawn.
const ICON: &str = "d='M8 1v9M8 13v2' stroke='%23d6453d' stroke-width='3'";

/// One response in each of the three formats.
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) title: String,
    pub(super) html: Markup,
    pub(super) json: Value,
    pub(super) text: String,
}

impl Page {
    /// In the format that the client wants. Never cached, since the next response will differ.
    pub(super) fn answer(self, wants: Wants) -> Response<Body> {
        let Self {
            status,
            title,
            html,
            json,
            text,
        } = self;
        match wants {
            Wants::Html => answer_html(status, &title, &html),
            Wants::Json => uncached(status, Json(json)),
            Wants::Text => uncached(status, text),
        }
    }
}

/// An HTML response, whatever the client's format.
pub(super) fn answer_html(status: StatusCode, title: &str, content: &Markup) -> Response<Body> {
    let title: String = title.chars().take(120).collect();
    uncached(status, Html(frame(&title, content)))
}

pub(super) fn uncached(status: StatusCode, answer: impl IntoResponse) -> Response<Body> {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        // Another site could put the page into a frame and trick the user into a click.
        (header::CONTENT_SECURITY_POLICY, "frame-ancestors 'self'"),
    ];
    (status, headers, answer).into_response()
}

/// An error message as the heading. If it is long, its first line as the heading and all of it below.
pub(super) fn long(message: &str) -> Markup {
    const MOST: usize = 120;
    let line = message.lines().next().unwrap_or_default();
    let cut = line.char_indices().nth(MOST).map(|(end, _)| &line[..end]);
    html! {
        h1 { (cut.unwrap_or(line)) @if cut.is_some() { "…" } }
        @if cut.is_some() || line != message {
            pre.source.said tabindex="0" role="region" aria-label="The whole message" { (message) }
        }
    }
}

/// A statement with the word that PostgreSQL points at marked.
pub(super) fn marked(statement: &str, position: Option<usize>) -> Markup {
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

/// The headers of a request.
pub(super) fn request(info: &RequestInfo) -> Markup {
    headers("Headers of the request", info.headers())
}

pub(super) fn headers<'a>(
    label: &str,
    headers: impl Iterator<Item = (&'a str, Cow<'a, str>)>,
) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table.fields {
                tbody {
                    @for (name, value) in headers { tr { th scope="row" { (name) } td { (value) } } }
                }
            }
        }
    }
}

/// The head of a document, with `more` in it.
pub(super) fn head(title: &str, icon: &str, more: &Markup) -> Markup {
    // Inline, since a browser would otherwise request one from the app.
    let icon = format!(
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath {icon}/%3E%3C/svg%3E"
    );
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) }
            link rel="icon" href=(icon);
            (more)
        }
    }
}

/// A field of a form: each choice with its value, its text, and whether it is the current one.
pub(super) fn choose(label: &str, name: &str, choices: &[(&str, &str, bool)]) -> Markup {
    html! {
        label {
            (label) " " select name=(name) {
                @for (value, text, is_current) in choices { option value=(value) selected[*is_current] { (text) } }
            }
        }
    }
}

fn frame(title: &str, content: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, ICON, &html! { style { (maud::PreEscaped(STYLE)) } }))
            body {
                main { (content) }
                footer {
                    "Shown by the dev server · " a href="/__dev" { "Dashboard" } " · " a href="/__dev/requests" { "Requests" } " · " a href="/__dev/logs" { "Logs" }
                }
            }
        }
    };
    page.into_string()
}

/// Links places in files to the user's editor.
#[derive(Clone)]
pub(crate) struct Editor {
    /// `vscode://file/{file}:{line}:{column}`
    pub(crate) template: Option<String>,
    /// File names are relative to it.
    pub(crate) root: PathBuf,
}

impl Editor {
    /// The place, as a link if there is a template.
    pub(super) fn link(&self, file: &str, line: u32, column: u32) -> Markup {
        let place = format!("{file}:{line}:{column}");
        match self.url(file, line, column) {
            Some(url) => html! { a href=(url) { code { (place) } } },
            None => html! { code { (place) } },
        }
    }

    /// Its address there.
    pub(crate) fn url(&self, file: impl AsRef<Path>, line: u32, column: u32) -> Option<String> {
        let path = self.root.join(file).display().to_string();
        let address = self
            .template
            .as_ref()?
            .replace("{file}", &utf8_percent_encode(&path, ENCODED).to_string())
            .replace("{line}", &line.to_string())
            .replace("{column}", &column.to_string());
        Some(address)
    }

    /// The lines around `line`, which is marked; nothing if the file cannot be read.
    pub(super) fn source(&self, file: &str, line: u32) -> Markup {
        const AROUND: u32 = 6;
        let Ok(text) = std::fs::read_to_string(self.root.join(Path::new(file))) else {
            return html! {};
        };
        let first = line.saturating_sub(AROUND).max(1);
        let lines = (first..=line + AROUND).zip(text.lines().skip(first as usize - 1));
        html! {
            pre.source tabindex="0" role="region" aria-label={ "Source around line " (line) } {
                @for (number, text) in lines {
                    // The newline goes outside of `mark`, an inline block in which it would not end the line.
                    @if number == line { mark { (format!("{number:>5}  {text}")) } "\n" }
                    @else { (format!("{number:>5}  {text}\n")) }
                }
            }
        }
    }
}

/// What JavaScript's `encodeURI` encodes.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

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

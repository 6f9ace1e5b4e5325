//! The host's own pages: their frame, the form a client asked for, and links into the editor.
//!
//! All text is escaped by maud: a path, a query or a panic message may hold markup.

use std::path::{Path, PathBuf};

use axum::{
    Json,
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
    response::{Html, IntoResponse},
};
use maud::{DOCTYPE, Markup, html};
use serde_json::Value;

use super::asked::Wants;

const STYLE: &str = include_str!("page.css");

/// One matter in the three forms a client may ask for.
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) title: String,
    pub(super) html: Markup,
    pub(super) json: Value,
    pub(super) text: String,
}

impl Page {
    /// In the form that the client wants. Never cached: the next answer is another.
    pub(super) fn answer(self, wants: Wants) -> Response<Body> {
        let Self {
            status,
            title,
            html,
            json,
            text,
        } = self;
        let mut response = match wants {
            Wants::Html => Html(frame(&title, &html)).into_response(),
            Wants::Json => Json(json).into_response(),
            Wants::Text => text.into_response(),
        };
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // A button under somebody else's page would be pressed unseen.
        let unframed = HeaderValue::from_static("frame-ancestors 'self'");
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, unframed);
        response
    }
}

fn frame(title: &str, content: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                main { (content) }
                footer { "The dev server says this, not the app. " a href="/__dev" { "Dashboard" } }
            }
        }
    };
    page.into_string()
}

/// Makes a link of a place in a file.
#[derive(Clone)]
pub(in crate::dev) struct Editor {
    /// `vscode://file/{file}:{line}:{column}`
    pub(in crate::dev) template: Option<String>,
    /// Places are relative to it.
    pub(in crate::dev) root: PathBuf,
}

impl Editor {
    /// The place, as a link if there is a template.
    pub(super) fn link(&self, file: &str, line: u32, column: u32) -> Markup {
        let place = format!("{file}:{line}:{column}");
        let Some(template) = &self.template else {
            return html! { code { (place) } };
        };
        let path = self.root.join(file).display().to_string();
        let target = template
            .replace("{file}", &encoded(&path))
            .replace("{line}", &line.to_string())
            .replace("{column}", &column.to_string());
        html! { a href=(target) { code { (place) } } }
    }

    /// The lines around `line`, each with its number.
    pub(super) fn source(&self, file: &str, line: u32) -> Vec<(u32, String)> {
        const AROUND: u32 = 6;
        let Ok(text) = std::fs::read_to_string(self.root.join(Path::new(file))) else {
            return Vec::new();
        };
        let first = line.saturating_sub(AROUND).max(1);
        (first..=line + AROUND)
            .zip(text.lines().skip(first as usize - 1))
            .map(|(number, text)| (number, text.to_owned()))
            .collect()
    }
}

/// As `encodeURI` does it for a path.
fn encoded(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() || b"-_.~/:@!$&'()*+,;=".contains(&byte) => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

//! An error in a page of the app, as its browser has reported it.

use serde::{Deserialize, Serialize};

/// See the [module](self).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BrowserError {
    kind: BrowserErrorKind,
    /// Of the page, without the query, which may hold secrets.
    pub(crate) path: String,
    pub(crate) message: String,
    /// Of the script, without this host's origin.
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
    pub(crate) stack: Option<String>,
    /// What the page was rendered by.
    pub(crate) generation: Option<u64>,
    pub(crate) request: Option<u64>,
    /// How many the page has not reported before this one, since there were too many.
    pub(crate) left_out: u32,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum BrowserErrorKind {
    /// An exception that nothing has caught.
    Error,
    /// A promise's that nothing has caught.
    Rejection,
    /// `console.error`
    Console,
}

/// In characters.
const MAX_NAME: usize = 300;
const MAX_MESSAGE: usize = 2000;
const MAX_STACK: usize = 4000;

impl BrowserError {
    /// The same within bounds, and without what a terminal would take for more than text: it comes from a page.
    pub(crate) fn tamed(mut self) -> Self {
        self.path = tame(&self.path, MAX_NAME, false);
        self.message = tame(&self.message, MAX_MESSAGE, false);
        self.file = self.file.map(|file| tame(&file, MAX_NAME, false));
        self.stack = self.stack.map(|stack| tame(&stack, MAX_STACK, true));
        self
    }

    /// `file:line:column`, as far as the browser has said it.
    pub(crate) fn place(&self) -> Option<String> {
        let numbers = [self.line, self.column].into_iter().flatten();
        let mut place = self.file.clone()?;
        for number in numbers {
            place += &format!(":{number}");
        }
        Some(place)
    }
}

fn tame(text: &str, most: usize, lines: bool) -> String {
    let mut tame: String = text
        .chars()
        .take(most)
        .map(|char| match char {
            '\n' if lines => char,
            // Among them those that change the direction of what follows.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
            char if char.is_control() => ' ',
            char => char,
        })
        .collect();
    if text.chars().nth(most).is_some() {
        tame.push('…');
    }
    tame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_says_stays_text_and_short() {
        let sent = serde_json::json!({
            "kind": "error", "path": "/a\u{1b}[2J", "message": "x".repeat(MAX_MESSAGE + 1), "file": "/app.js\r",
            "line": 3, "column": 14, "stack": "one\n\u{9b}31mtwo\u{202e}", "left_out": 0,
        });
        let tamed = serde_json::from_value::<BrowserError>(sent).map(BrowserError::tamed);
        let tamed = tamed.expect("what the script sends");
        assert_eq!(tamed.path, "/a [2J");
        assert_eq!(tamed.message, format!("{}…", "x".repeat(MAX_MESSAGE)));
        assert_eq!(tamed.place().as_deref(), Some("/app.js :3:14"));
        assert_eq!(tamed.stack.as_deref(), Some("one\n 31mtwo "));
    }
}

//! The tools whose migrations the host applies, and the line of a workspace's manifest that names one. Reads no
//! migration.

use std::fmt;

use serde::Deserialize;
use toml::{Spanned, Value};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Style {
    #[default]
    Refinery,
    Sqlx,
    Diesel,
}

impl Style {
    pub const ALL: [Self; 3] = [Self::Refinery, Self::Sqlx, Self::Diesel];

    /// A file that this tool would find.
    pub fn example(self) -> &'static str {
        match self {
            Self::Refinery => "V3__add_colour.sql",
            Self::Sqlx => "20260131120000_add_colour.sql",
            Self::Diesel => "2026-01-31-120000_add_colour/up.sql",
        }
    }
}

impl fmt::Display for Style {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Refinery => "refinery",
            Self::Sqlx => "sqlx",
            Self::Diesel => "diesel",
        })
    }
}

/// `style = "sqlx"` in a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StyleLine {
    /// Counted from 1.
    pub number: usize,
    /// `None` if it names none of the tools.
    pub style: Option<Style>,
    /// The value as it is written.
    word: String,
}

impl StyleLine {
    /// The line in the text of a manifest. `None` if there is none, and while the text is not TOML, which cargo reports.
    pub(crate) fn of(manifest: &str) -> Option<Self> {
        let read: Manifest = toml::from_str(manifest).ok()?;
        let value = read.workspace?.metadata?.host?.style?;
        let before = &manifest[..value.span().start];
        let style = Style::ALL
            .into_iter()
            .find(|style| value.get_ref().as_str() == Some(&style.to_string()));
        Some(Self {
            number: 1 + before.matches('\n').count(),
            style,
            word: manifest[value.span()].to_owned(),
        })
    }

    /// Why the line does not do, and what to write instead.
    pub(crate) fn refused(&self, why: &str) -> String {
        let words = Style::ALL.map(|style| format!("\"{style}\""));
        format!(
            "style = {} {why}: write one of {}, or delete the line",
            self.word,
            words.join(", ")
        )
    }
}

#[derive(Deserialize)]
struct Manifest {
    workspace: Option<Workspace>,
}

#[derive(Deserialize)]
struct Workspace {
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    host: Option<Host>,
}

#[derive(Deserialize)]
struct Host {
    style: Option<Spanned<Value>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_found_with_its_number_and_its_word() {
        let manifest = |ours: &str| format!("[workspace]\nmembers = []\n\n{ours}");
        let found = |ours: &str| {
            let line = StyleLine::of(&manifest(ours))?;
            Some((line.number, line.style, line.word))
        };
        let head = "[workspace.metadata.host]\napp = \"app\"\n";
        for (word, style) in [
            ("\"sqlx\"", Some(Style::Sqlx)),
            ("'diesel'", Some(Style::Diesel)),
            ("\"refinry\"", None),
            ("\"Sqlx\"", None),
            ("3", None),
        ] {
            let expected = Some((6, style, word.to_owned()));
            assert_eq!(found(&format!("{head}style = {word} # whose\n")), expected);
        }
        let inline = found("[workspace.metadata]\nhost.app = \"app\"\nhost.style = \"sqlx\"");
        assert_eq!(inline.map(|(number, ..)| number), Some(6));
        assert_eq!(found(head), None);
        assert_eq!(found(&format!("{head}style = \"sqlx\nother")), None);
    }

    #[test]
    fn a_refusal_has_the_word_and_those_that_are_known() {
        let line = StyleLine::of("[workspace.metadata.host]\nstyle = \"flyway\"").expect("a line");
        assert_eq!(
            line.refused("names no tool"),
            "style = \"flyway\" names no tool: write one of \"refinery\", \"sqlx\", \"diesel\", or delete the line"
        );
    }
}

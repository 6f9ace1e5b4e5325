//! One message of the compiler, as it is shown.

use cargo_metadata::diagnostic::{Diagnostic as Message, DiagnosticLevel};
use serde::Serialize;

/// One message of the compiler, or of cargo itself.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Diagnostic {
    pub(crate) level: &'static str,
    pub(crate) message: String,
    /// As rustc renders it, with colour codes.
    pub(crate) rendered: String,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<usize>,
    pub(crate) column: Option<usize>,
}

impl Diagnostic {
    /// An error without a place in a file.
    pub(super) fn error(message: String, rendered: String) -> Self {
        Self {
            level: "error",
            message,
            rendered,
            file: None,
            line: None,
            column: None,
        }
    }

    /// Of rustc's message, if it says something new.
    pub(super) fn of(message: Message) -> Option<Self> {
        let level = match message.level {
            DiagnosticLevel::Error | DiagnosticLevel::Ice => "error",
            DiagnosticLevel::Warning => "warning",
            _ => return None, // "for more information about this error": the rendered error says so too
        };
        let span = message.spans.into_iter().find(|span| span.is_primary);
        // "aborting due to 2 previous errors" points nowhere.
        if span.is_none() && message.message.starts_with("aborting due to")
            || message.message.ends_with("warning emitted")
            || message.message.ends_with("warnings emitted")
        {
            return None;
        }
        let (line, column) = (
            span.as_ref().map(|span| span.line_start),
            span.as_ref().map(|span| span.column_start),
        );
        Some(Self {
            level,
            message: message.message,
            rendered: message.rendered.unwrap_or_default(),
            file: span.map(|span| span.file_name),
            line,
            column,
        })
    }

    pub(super) fn is_error(&self) -> bool {
        self.level == "error"
    }
}

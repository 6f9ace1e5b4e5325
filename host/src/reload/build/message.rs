//! Reads rustc's messages: which of them are diagnostics, and their place in a file.

use cargo_metadata::diagnostic::{Diagnostic as Message, DiagnosticLevel};

use crate::{config::Project, events::Diagnostic};

/// From rustc's message, with files named as the user knows them. `None` if it only repeats or summarises others.
pub(super) fn diagnostic(message: Message, project: &Project) -> Option<Diagnostic> {
    let level = match message.level {
        DiagnosticLevel::Error | DiagnosticLevel::Ice => "error",
        DiagnosticLevel::Warning => "warning",
        _ => return None, // "for more information about this error", which the rendered error includes
    };
    let span = message.spans.into_iter().find(|span| span.is_primary);
    // A summary such as "aborting due to 2 previous errors" has no span.
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
    Some(Diagnostic {
        level,
        message: message.message,
        // A package outside of the workspace is compiled by its absolute path.
        rendered: message
            .rendered
            .unwrap_or_default()
            .replace(&format!("{}/", project.root().display()), ""),
        file: span.map(|span| project.named_by_rustc(span.file_name).display().to_string()),
        line,
        column,
    })
}

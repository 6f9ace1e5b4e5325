//! The width of the terminal and of lines.

use std::io;

use anstream::adapter::strip_str;

/// The width of the time stamp before a line.
pub(super) const STAMP: usize = "12:34:56  ".len();

/// `None` if unknown: lines are not replaced then.
pub(super) fn columns() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(usize::from(width.0)).filter(|columns| *columns > 1)
}

/// Whether a line with its time stamp fits into `columns`.
pub(super) fn fits(line: &str, columns: Option<usize>) -> bool {
    let width = STAMP + strip_str(line).to_string().chars().count();
    columns.is_none_or(|columns| width <= columns)
}

/// The width in columns, if every character is known to take one column.
pub(super) fn width(line: &str) -> Option<usize> {
    let plain = strip_str(line).to_string();
    let single = |c: char| c.is_ascii_graphic() || c == ' ' || "✓✗=·—…".contains(c);
    plain.chars().all(single).then(|| plain.chars().count())
}

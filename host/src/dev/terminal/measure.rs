//! How wide the terminal is, and how much of that a line takes.

use std::io;

use anstream::adapter::strip_str;

/// The width of the time before a line.
pub(super) const STAMP: usize = "12:34:56  ".len();

/// `None` if it is not known: then nothing is replaced.
pub(super) fn columns() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(usize::from(width.0)).filter(|columns| *columns > 1)
}

/// Whether a line with the time before it takes no more than so many columns.
pub(super) fn fits(line: &str, columns: Option<usize>) -> bool {
    let width = STAMP + strip_str(line).to_string().chars().count();
    columns.is_none_or(|columns| width <= columns)
}

/// In columns, of a line whose characters are known to take one each.
pub(super) fn width(line: &str) -> Option<usize> {
    let plain = strip_str(line).to_string();
    let single = |c: char| c.is_ascii_graphic() || c == ' ' || "✓✗=·—…".contains(c);
    plain.chars().all(single).then(|| plain.chars().count())
}

//! A compiler message as it is shown, and the choice of which to show when there are many.

use serde::Serialize;

/// A message of the compiler, or of cargo itself.
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
    pub(crate) fn error(message: String, rendered: String) -> Self {
        Self {
            level: "error",
            message,
            rendered,
            file: None,
            line: None,
            column: None,
        }
    }

    pub(crate) fn is_error(&self) -> bool {
        self.level == "error"
    }
}

/// More than anyone reads before the next save.
const SHOWN: usize = 20;

/// The ones to show, in the compiler's order. If there are too many, errors take precedence over warnings.
pub(crate) fn worst(diagnostics: &[Diagnostic]) -> impl Iterator<Item = &Diagnostic> {
    let errors = diagnostics.iter().filter(|one| one.is_error()).count();
    let mut room = [SHOWN.saturating_sub(errors), SHOWN]; // for warnings, for errors
    diagnostics.iter().filter(move |one| {
        let room = &mut room[usize::from(one.is_error())];
        let fits = *room > 0;
        *room = room.saturating_sub(1);
        fits
    })
}

#[cfg(test)]
mod tests {
    use super::{Diagnostic, worst};

    fn many(levels: &[(&'static str, usize)]) -> Vec<Diagnostic> {
        let one = |level| Diagnostic {
            level,
            ..Diagnostic::error(String::new(), String::new())
        };
        let groups = levels.iter();
        groups
            .flat_map(|(level, times)| std::iter::repeat_n(one(level), *times))
            .collect()
    }

    #[test]
    fn errors_are_shown_before_warnings_and_few_of_many() {
        for (all, shown) in [
            ([("warning", 3), ("error", 2)], (3, 2)),
            ([("warning", 30), ("error", 1)], (19, 1)),
            ([("warning", 30), ("error", 2000)], (0, 20)),
        ] {
            let all = many(&all);
            let (errors, warnings): (Vec<_>, Vec<_>) = worst(&all).partition(|one| one.is_error());
            assert_eq!((warnings.len(), errors.len()), shown);
        }
    }
}

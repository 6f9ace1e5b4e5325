//! Which warnings are new: the compiler repeats all of them with each build, and the user has seen the others.

use std::collections::HashSet;

use anstream::adapter::strip_str;

use super::DIM;
use crate::events::Diagnostic;

/// The warnings of the last build.
#[derive(Default)]
pub(super) struct Warnings(HashSet<String>);

impl Warnings {
    /// Returns the diagnostics to print (all errors, and new warnings) and the number of others. `all`: the build was
    /// complete, so warnings that are missing now are gone.
    pub(super) fn select_new(
        &mut self,
        diagnostics: &[Diagnostic],
        all: bool,
    ) -> (Vec<Diagnostic>, usize) {
        let (mut new, mut now) = (Vec::new(), HashSet::new());
        for diagnostic in diagnostics {
            let warning = (diagnostic.level == "warning").then(|| identity(diagnostic));
            if !warning.as_ref().is_some_and(|what| self.0.contains(what)) {
                new.push(diagnostic.clone());
            }
            now.extend(warning);
        }
        if !all {
            now.extend(std::mem::take(&mut self.0));
        }
        self.0 = now;
        let known = diagnostics.len() - new.len();
        (new, known)
    }
}

/// The count of known warnings, for the end of a line.
pub(super) fn as_before(known: usize) -> String {
    match known {
        0 => String::new(),
        1 => format!("  {DIM}1 warning as before{DIM:#}"),
        known => format!("  {DIM}{known} warnings as before{DIM:#}"),
    }
}

/// Identifies a warning by its text and code, without digits and whitespace: an edit further up changes line numbers
/// and their padding.
fn identity(diagnostic: &Diagnostic) -> String {
    let text = strip_str(&diagnostic.rendered).to_string();
    text.chars()
        .filter(|c| !c.is_ascii_digit() && !c.is_whitespace())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Warnings {
        fn told(&mut self, diagnostics: &[Diagnostic], all: bool) -> (String, usize) {
            let (new, known) = self.select_new(diagnostics, all);
            (new.iter().map(|one| one.rendered.as_str()).collect(), known)
        }
    }

    fn diagnostic(level: &'static str, rendered: &str) -> Diagnostic {
        Diagnostic {
            level,
            message: String::new(),
            rendered: rendered.to_owned(),
            file: None,
            line: None,
            column: None,
        }
    }

    #[test]
    fn a_warning_is_told_once_for_as_long_as_it_is_there() {
        let mut warnings = Warnings::default();
        let unused = |line| {
            diagnostic(
                "warning",
                &format!("unused `x` --> lab.rs:{line}:5\n{line} | let x"),
            )
        };
        let other = diagnostic("warning", "other");
        let error = diagnostic("error", "error");
        let all = |text: &str, known| (text.to_owned(), known);
        assert_eq!(warnings.told(&[unused(9)], true).1, 0);
        // The warning has moved, and rustc pads the line number.
        assert_eq!(
            warnings.told(&[unused(10), other.clone()], true),
            all("other", 1)
        );
        // A failed build does not report all warnings.
        let errors = [error];
        assert_eq!(warnings.told(&errors, false), all("error", 0));
        assert_eq!(warnings.told(&errors, false), all("error", 0));
        assert_eq!(warnings.told(&[unused(3), other.clone()], true), all("", 2));
        // Gone, and back.
        assert_eq!(warnings.told(&[unused(3)], true), all("", 1));
        assert_eq!(warnings.told(&[unused(3), other], true), all("other", 1));
    }
}

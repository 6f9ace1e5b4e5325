//! Which warnings are news: the compiler repeats all of them with each build, and a person has read the others.

use std::collections::HashSet;

use anstream::adapter::strip_str;

use super::DIM;
use crate::reload::Diagnostic;

/// Those that were there after the last build.
#[derive(Default)]
pub(super) struct Warnings(HashSet<String>);

impl Warnings {
    /// Those of these that are printed: all errors, and warnings that are new. Then how many are not.
    /// `all`: the build came to its end, so that one that is missing here is gone.
    pub(super) fn news(
        &mut self,
        diagnostics: &[Diagnostic],
        all: bool,
    ) -> (Vec<Diagnostic>, usize) {
        let (mut news, mut now) = (Vec::new(), HashSet::new());
        for diagnostic in diagnostics {
            let warning = (diagnostic.level == "warning").then(|| recognized_by(diagnostic));
            if !warning.as_ref().is_some_and(|what| self.0.contains(what)) {
                news.push(diagnostic.clone());
            }
            now.extend(warning);
        }
        if !all {
            now.extend(std::mem::take(&mut self.0));
        }
        self.0 = now;
        let known = diagnostics.len() - news.len();
        (news, known)
    }
}

/// For the end of a line.
pub(super) fn as_before(known: usize) -> String {
    match known {
        0 => String::new(),
        1 => format!("  {DIM}1 warning as before{DIM:#}"),
        known => format!("  {DIM}{known} warnings as before{DIM:#}"),
    }
}

/// Its words and the code it is about, without line numbers and what stands in front of them: an edit above moves it.
fn recognized_by(diagnostic: &Diagnostic) -> String {
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
            let (news, known) = self.news(diagnostics, all);
            (
                news.iter().map(|one| one.rendered.as_str()).collect(),
                known,
            )
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
        // It has moved, and rustc pads the number.
        assert_eq!(
            warnings.told(&[unused(10), other.clone()], true),
            all("other", 1)
        );
        // A build that fails does not come to all of them.
        let errors = [error];
        assert_eq!(warnings.told(&errors, false), all("error", 0));
        assert_eq!(warnings.told(&errors, false), all("error", 0));
        assert_eq!(warnings.told(&[unused(3), other.clone()], true), all("", 2));
        // Gone, and back.
        assert_eq!(warnings.told(&[unused(3)], true), all("", 1));
        assert_eq!(warnings.told(&[unused(3), other], true), all("other", 1));
    }
}

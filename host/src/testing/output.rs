//! What the test programs of Rust print, read line by line. Knows libtest's format for people, which has been the same
//! since Rust 1.0; the one for programs is not stable.

use crate::events::FailedTest;

/// Of one test's output. The end is what matters: the failed assertion.
const MAX_OUTPUT: usize = 8 << 10;

/// So many failed tests have theirs.
const MAX_OUTPUTS: usize = 20;

/// The results so far.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// Of the programs that have begun.
    pub(super) total: usize,
    pub(super) passed: usize,
    pub(super) ignored: usize,
    pub(super) failed: Vec<FailedTest>,
    /// Which of the failed ones the lines are about.
    about: Option<usize>,
}

impl Results {
    pub(super) fn done(&self) -> usize {
        self.passed + self.ignored + self.failed.len()
    }

    pub(super) fn read(&mut self, line: &str) {
        if let Some(count) = begun(line) {
            self.total += count;
        } else if let Some((name, result)) = ended(line) {
            match result {
                Result::Passed => self.passed += 1,
                Result::Ignored => self.ignored += 1,
                Result::Failed => self.failed.push(FailedTest {
                    name: name.to_owned(),
                    output: String::new(),
                }),
            }
        } else if let Some(name) = section(line) {
            let about = self.failed.iter().rposition(|test| test.name == name);
            // Without a database all tests fail, and say the same.
            self.about = about.filter(|about| *about < MAX_OUTPUTS);
        } else if line == "failures:" || line.starts_with("test result: ") {
            self.about = None;
        } else if let Some(test) = self.about.and_then(|about| self.failed.get_mut(about)) {
            append(&mut test.output, line);
        }
    }
}

#[derive(Clone, Copy)]
enum Result {
    Passed,
    Failed,
    Ignored,
}

/// `running 10 tests`
fn begun(line: &str) -> Option<usize> {
    let (count, noun) = line.strip_prefix("running ")?.split_once(' ')?;
    matches!(noun, "test" | "tests").then(|| count.parse().ok())?
}

/// `test tests::a_note_is_added ... ok`
fn ended(line: &str) -> Option<(&str, Result)> {
    let (name, result) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let result = match result.split([',', ' ', '<']).next()? {
        "ok" => Result::Passed,
        "FAILED" => Result::Failed,
        "ignored" => Result::Ignored,
        _ => return None,
    };
    Some((name.trim_end_matches(" - should panic"), result))
}

/// `---- tests::a_note_is_added stdout ----`
fn section(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

fn append(output: &mut String, line: &str) {
    if !output.is_empty() {
        output.push('\n');
    }
    output.push_str(line);
    if output.len() > MAX_OUTPUT {
        let from = output.ceil_char_boundary(output.len() - MAX_OUTPUT);
        output.drain(..from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passed_failed_and_was_ignored_is_counted_and_a_failure_has_its_output() {
        let mut results = Results::default();
        let printed = "
running 4 tests
test tests::fine ... ok
test tests::panics - should panic ... ok
test tests::not_now ... ignored, takes long
test tests::wrong ... FAILED

failures:

---- tests::wrong stdout ----

thread 'tests::wrong' panicked at src/tests.rs:7:5:
assertion `left == right` failed

failures:
    tests::wrong

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

running 1 test
test src/lib.rs - add (line 3) ... ok
";
        printed.lines().for_each(|line| results.read(line));
        assert_eq!(
            (
                results.total,
                results.passed,
                results.ignored,
                results.done()
            ),
            (5, 3, 1, 5)
        );
        let [failed] = &results.failed[..] else {
            panic!("{results:?}")
        };
        assert_eq!(failed.name, "tests::wrong");
        let output = failed.output.trim();
        assert!(output.starts_with("thread 'tests::wrong' panicked at src/tests.rs:7:5:"));
        assert!(
            output.ends_with("assertion `left == right` failed"),
            "{output}"
        );
    }

    #[test]
    fn of_a_long_output_the_end_is_kept() {
        let mut output = String::new();
        for number in 0..10_000 {
            append(&mut output, &format!("é{number}"));
        }
        assert!(output.len() <= MAX_OUTPUT && output.ends_with("é9999"));
    }
}

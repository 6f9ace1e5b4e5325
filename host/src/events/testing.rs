//! The tests that run after a save: which run now, and what came of the last ones.

use std::time::Duration;

use serde::Serialize;

/// As it is now.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Testing {
    /// Whether the app's tests run after each save.
    pub(crate) on: bool,
    pub(crate) running: Option<RunningTests>,
    pub(crate) last: Option<TestRun>,
}

/// Tests that have begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RunningTests {
    /// Whose code they are about.
    pub(crate) generation: u64,
    pub(crate) done: usize,
    /// Of the programs that have begun. Zero while they are compiled.
    pub(crate) total: usize,
}

/// A run that has ended by itself.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TestRun {
    pub(crate) generation: u64,
    pub(crate) succeeded: bool,
    /// `10 passed`, `1 of 10 failed`
    pub(crate) words: String,
    pub(crate) passed: usize,
    pub(crate) failed: Vec<FailedTest>,
    pub(crate) ignored: usize,
    pub(crate) took_ms: f64,
    /// Why there is no complete result: the tests do not compile, or a program of theirs has crashed.
    pub(crate) error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct FailedTest {
    pub(crate) name: String,
    /// What it has printed, cut off where it is long.
    pub(crate) output: String,
}

impl TestRun {
    pub(crate) fn new(
        generation: u64,
        took: Duration,
        (passed, ignored): (usize, usize),
        failed: Vec<FailedTest>,
        error: Option<String>,
    ) -> Self {
        let words = match (&error, failed.len()) {
            (Some(_), 0) => "the tests do not run".to_owned(),
            (_, 0) => format!("{passed} passed"),
            (_, failed) => format!("{failed} of {} failed", passed + failed),
        };
        Self {
            generation,
            succeeded: failed.is_empty() && error.is_none(),
            words,
            passed,
            failed,
            ignored,
            took_ms: (took.as_secs_f64() * 1e4).round() / 1e1,
            error,
        }
    }
}

//! Estimates how long a build takes from the last builds of the same kind.

use std::{collections::HashMap, time::Duration};

use crate::events::BuildKind;

/// The last builds of each kind.
#[derive(Default)]
pub(super) struct Pace(HashMap<BuildKind, Vec<Duration>>);

/// How many builds are kept of each kind: enough that one build on a busy machine does not spoil the estimate.
const KEPT: usize = 3;

impl Pace {
    pub(super) fn took(&mut self, kind: BuildKind, duration: Duration) {
        let last = self.0.entry(kind).or_default();
        if last.len() == KEPT {
            last.remove(0);
        }
        last.push(duration);
    }

    /// Their median.
    pub(super) fn expected(&self, kind: BuildKind) -> Option<Duration> {
        let mut last = self.0.get(&kind)?.clone();
        last.sort_unstable();
        last.get((last.len() - 1) / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_median_of_the_last_builds_of_a_kind_is_expected() {
        let mut pace = Pace::default();
        assert_eq!(pace.expected(BuildKind::App), None);
        for (took, expected) in [(5, 5), (1, 1), (2, 2), (2, 2), (9, 2), (9, 9)] {
            pace.took(BuildKind::App, seconds(took));
            assert_eq!(pace.expected(BuildKind::App), Some(seconds(expected)));
        }
        assert_eq!(pace.expected(BuildKind::Dependencies), None);
    }
}

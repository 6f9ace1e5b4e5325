//! A running build: what it compiles, how far it is, and how long it should take.

use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

/// The progress of a build, in cargo's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Progress {
    pub(crate) built: usize,
    pub(crate) total: usize,
}

/// What a build compiles, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BuildKind {
    /// The app, by rustc without cargo.
    AppByRustc,
    /// The app, through cargo.
    App,
    /// A dependency of the app or the host, or the host itself.
    Dependencies,
}

/// A running build.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct UnderWay {
    pub(crate) kind: BuildKind,
    /// How long it should take in total; `None` if there was no build of its kind before.
    #[serde(rename = "expected_ms", serialize_with = "milliseconds")]
    pub(crate) expected: Option<Duration>,
    #[serde(skip)]
    pub(crate) since: Instant,
}

impl UnderWay {
    /// Whether it is likely to end within `limit`. A build that is far behind its estimate is not.
    pub(crate) fn is_likely_to_end_in(&self, limit: Duration) -> bool {
        is_likely(self.kind, self.expected, self.since.elapsed(), limit)
    }
}

fn is_likely(
    kind: BuildKind,
    expected: Option<Duration>,
    passed: Duration,
    limit: Duration,
) -> bool {
    match expected {
        Some(expected) => expected <= passed + limit && passed <= expected + limit,
        None => kind != BuildKind::Dependencies,
    }
}

fn milliseconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let milliseconds = duration.map(|duration| duration.as_secs_f64() * 1e3);
    milliseconds.serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_page_waits_only_for_a_build_that_is_likely_to_end_in_time() {
        let limit = seconds(2);
        for (kind, expected, passed, likely) in [
            (BuildKind::App, None, 0, true),
            (BuildKind::Dependencies, None, 0, false),
            (BuildKind::App, Some(1), 0, true),
            (BuildKind::App, Some(1), 3, true),
            (BuildKind::App, Some(1), 4, false), // far behind its estimate
            (BuildKind::Dependencies, Some(60), 10, false),
            (BuildKind::Dependencies, Some(60), 58, true),
        ] {
            let expected = expected.map(seconds);
            assert_eq!(
                is_likely(kind, expected, seconds(passed), limit),
                likely,
                "{kind:?} {expected:?} {passed}"
            );
        }
    }
}

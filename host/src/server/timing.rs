//! Where the time of a request went, for the browser's network panel: the `server-timing` header.
//!
//! Specification: <https://www.w3.org/TR/server-timing/>.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use shared::db::trace::{Event, Recorded, What};

pub(super) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Parts of the time between a request and the beginning of its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timing {
    /// Until a running build or migration had ended.
    pub(crate) held: Duration,
    /// Until the connection of the database was free.
    pub(crate) wait: Duration,
    /// While at least one statement ran.
    pub(crate) db: Duration,
    pub(crate) statements: u64,
    /// The rest.
    pub(crate) app: Duration,
}

impl Timing {
    /// `took` begins when a generation was there to ask.
    pub(super) fn of(held: Duration, took: Duration, statements: u64, recorded: &Recorded) -> Self {
        let is_statement = |event: &&Event| matches!(event.what, What::Statement(_));
        let is_wait = |event: &&Event| matches!(event.what, What::Wait(_) | What::Connect);
        let events = || recorded.events.iter();
        // A request may wait for one answer while it waits for another.
        let both = covered(events().filter(|event| is_statement(event) || is_wait(event)));
        Self {
            held,
            wait: covered(events().filter(is_wait)),
            db: covered(events().filter(is_statement)),
            statements,
            app: took.saturating_sub(both),
        }
    }

    /// `id` is that of the page that shows more.
    pub(super) fn header(&self, id: u64) -> HeaderValue {
        let Self {
            held,
            wait,
            db,
            statements,
            app,
        } = *self;
        let statements = counted(statements, "statement");
        let text = format!(
            "id;desc=\"{id}\", hold;dur={}, wait;dur={};desc=\"wait for the connection\", db;dur={};desc=\"{statements}\", app;dur={}",
            ms(held),
            ms(wait),
            ms(db),
            ms(app)
        );
        HeaderValue::from_str(&text).expect("only visible ASCII")
    }
}

/// The number of the request that was answered with these headers: the gateway has added its own last. `None`: nothing is
/// recorded.
pub(crate) fn request_number(headers: &HeaderMap) -> Option<u64> {
    let own = headers.get_all(SERVER_TIMING).iter().next_back()?;
    let (_, rest) = own.to_str().ok()?.split_once("id;desc=\"")?;
    rest.split('"').next()?.parse().ok()
}

/// `1 row`, `2 rows`
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{s}")
}

/// For display.
pub(crate) fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 1e1
}

/// How long at least one of them lasted.
fn covered<'a>(events: impl Iterator<Item = &'a Event>) -> Duration {
    let mut spans: Vec<_> = events
        .map(|event| (event.from, event.from + event.took))
        .collect();
    spans.sort();
    let (mut total, mut end) = (Duration::ZERO, Duration::ZERO);
    for (from, to) in spans {
        total += to.saturating_sub(from.max(end));
        end = end.max(to);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_several_ran_counts_once() {
        let ms = Duration::from_millis;
        let event = |from, took| Event {
            from: ms(from),
            took: ms(took),
            what: What::Connect,
        };
        let events = [event(10, 10), event(0, 15), event(40, 5), event(12, 1)];
        assert_eq!(covered(events.iter()), ms(25));
        let mut recorded = Recorded::default();
        recorded.events.extend(events);
        let timing = Timing::of(ms(3), ms(100), 0, &recorded);
        assert_eq!((timing.wait, timing.app), (ms(25), ms(75)));
        let mut headers = HeaderMap::new();
        headers.append(
            SERVER_TIMING,
            HeaderValue::from_static("id;desc=\"of the app\""),
        );
        headers.append(SERVER_TIMING, timing.header(7));
        assert_eq!(request_number(&headers), Some(7));
        assert_eq!(
            timing.header(7),
            "id;desc=\"7\", hold;dur=3, wait;dur=25;desc=\"wait for the connection\", db;dur=0;desc=\"0 statements\", app;dur=75"
        );
    }
}

//! What is worth a second look in what a request did.

use std::time::Duration;

use serde::Serialize;
use shared::db::trace::{Event, Statement, What};

/// As often as a statement must run with different parameters to count as one query too many for each row.
const MANY: usize = 4;

/// A statement this slow is marked.
pub(super) const SLOW: Duration = Duration::from_millis(100);

/// A statement that was run again and again.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Repeated {
    pub(super) text: String,
    pub(super) times: usize,
    /// With parameters that differ: usually one query for each row of another, which a join or `= ANY($1)` replaces.
    pub(super) is_n_plus_1: bool,
}

/// Those that ran at least as often as an N+1 must, the most frequent first.
pub(super) fn repeated(events: &[Event]) -> Vec<Repeated> {
    let mut groups: Vec<Vec<&Statement>> = Vec::new();
    for statement in statements(events).map(|(_, _, statement)| statement) {
        let same = |group: &&mut Vec<&Statement>| group[0].text == statement.text;
        match groups.iter_mut().find(same) {
            Some(group) => group.push(statement),
            None => groups.push(vec![statement]),
        }
    }
    groups.retain(|group| group.len() >= MANY);
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    let repeated = groups.iter().map(|group| Repeated {
        text: group[0].text.clone(),
        times: group.len(),
        // Masked ones look alike: what was sent counts too.
        is_n_plus_1: group.iter().any(|other| other.params != group[0].params),
    });
    repeated.collect()
}

/// With their place among all events.
pub(super) fn statements(events: &[Event]) -> impl Iterator<Item = (usize, &Event, &Statement)> {
    let numbered = events.iter().enumerate();
    numbered.filter_map(|(place, event)| match &event.what {
        What::Statement(statement) => Some((place, event, &**statement)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use shared::db::trace::{Outcome, Param};

    use super::*;

    fn event(text: &str, param: &str) -> Event {
        Event {
            from: Duration::ZERO,
            took: Duration::ZERO,
            what: What::Statement(Box::new(Statement {
                text: text.to_owned(),
                whole: true,
                params: vec![Param {
                    shown: param.to_owned(),
                    value: None,
                }],
                at: Some(Location::caller()),
                outcome: Outcome::Rows(Some(1)),
            })),
        }
    }

    #[test]
    fn one_statement_for_each_row_is_found_and_a_repeated_one_is_told_apart() {
        let mut events = vec![event("SELECT 2", "1"); MANY + 1];
        events.extend((0..MANY).map(|n| event("SELECT 1", &n.to_string())));
        events.extend(vec![event("SELECT 3", "1"); MANY - 1]);
        let found = repeated(&events);
        let found: Vec<_> = found
            .iter()
            .map(|it| (&*it.text, it.times, it.is_n_plus_1))
            .collect();
        assert_eq!(
            found,
            [("SELECT 2", MANY + 1, false), ("SELECT 1", MANY, true)]
        );
    }
}

//! What is worth a second look in what a request did.

use std::{collections::HashMap, time::Duration};

use serde::Serialize;
use shared::db::trace::{Event, Statement, What};

/// As often as a statement must run to be named.
const MANY: usize = 4;

/// A statement this slow is marked.
pub(crate) const SLOW_STATEMENT: Duration = Duration::from_millis(100);

/// A statement that was run again and again.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Repeated {
    pub(crate) text: String,
    pub(crate) times: usize,
    pub(crate) parameters: Parameters,
}

/// Those of the runs of one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Parameters {
    /// Usually one query for each row of another (N+1), which a join or `= ANY($1)` replaces.
    Differ,
    Same,
    /// Another driver does not say them.
    Unknown,
}

/// The most frequent first.
pub(crate) fn repeated(events: &[Event]) -> Vec<Repeated> {
    // Most requests, each of which comes here before its answer leaves.
    if events.len() < MANY {
        return Vec::new();
    }
    let mut groups: HashMap<&str, Vec<&Statement>> = HashMap::new();
    for (_, _, statement) in statements(events).filter(|(.., it)| is_planned(&it.text)) {
        groups.entry(&statement.text).or_default().push(statement);
    }
    let mut repeated: Vec<_> = groups
        .into_values()
        .filter(|group| group.len() >= MANY)
        .map(|group| Repeated {
            text: group[0].text.clone(),
            times: group.len(),
            parameters: parameters(&group),
        })
        .collect();
    repeated.sort_by(|one, other| (other.times, &one.text).cmp(&(one.times, &other.text)));
    repeated
}

fn parameters(group: &[&Statement]) -> Parameters {
    if group.iter().any(|statement| statement.at.is_none()) {
        return Parameters::Unknown;
    }
    // Masked ones look alike: what was sent counts too.
    match group.iter().any(|it| it.params != group[0].params) {
        true => Parameters::Differ,
        false => Parameters::Same,
    }
}

/// Whether PostgreSQL has a plan for it: it reads or writes rows.
pub(crate) fn is_planned(text: &str) -> bool {
    const FIRST: [&str; 7] = [
        "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES", "MERGE",
    ];
    let first = text.split_whitespace().next().unwrap_or_default();
    FIRST.iter().any(|word| first.eq_ignore_ascii_case(word))
}

/// With their place among all events.
fn statements(events: &[Event]) -> impl Iterator<Item = (usize, &Event, &Statement)> {
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
                    is_masked: false,
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
        events.extend(vec![event("COMMIT", ""); MANY]);
        let other = What::Statement(Box::new(Statement::of_a_driver(
            "SELECT 4",
            Outcome::Rows(Some(1)),
        )));
        events.extend(vec![
            Event {
                what: other,
                ..event("", "")
            };
            MANY
        ]);
        let found = repeated(&events);
        let found: Vec<_> = found
            .iter()
            .map(|it| (&*it.text, it.times, it.parameters))
            .collect();
        assert_eq!(
            found,
            [
                ("SELECT 2", MANY + 1, Parameters::Same),
                ("SELECT 1", MANY, Parameters::Differ),
                ("SELECT 4", MANY, Parameters::Unknown),
            ]
        );
    }
}

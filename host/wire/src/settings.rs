//! The settings of a client's session, which move with it from one use of the backend to the next.
//!
//! A value is what the server says it is, never what a client's text seems to set: a transaction may have been rolled
//! back, and a function may have decided.

use std::collections::{BTreeMap, HashMap};

/// Settings that differ from the backend's own, by name in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings(BTreeMap<String, String>);

/// `RESET ALL` leaves these as they are.
const ROLES: [&str; 2] = ["session_authorization", "role"];

impl Settings {
    pub(crate) fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_ascii_lowercase(), value);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops what the backend has by itself.
    pub(crate) fn retain_other_than(&mut self, parameters: &HashMap<String, String>) {
        self.0.retain(|name, value| {
            let same = parameters
                .iter()
                .find(|(own, _)| own.eq_ignore_ascii_case(name));
            same.is_none_or(|(_, own)| own != value)
        });
    }

    /// The SQL that brings a session with the settings `before` to these; with `None` they are unknown.
    pub(crate) fn switch_from(&self, before: Option<&Self>) -> String {
        let role_is_set = |settings: &Self| ROLES.iter().any(|role| settings.0.contains_key(*role));
        let mut sql = String::new();
        if before.is_none_or(role_is_set) {
            sql.push_str("SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; ");
        }
        if before.is_none_or(|before| !before.is_empty()) {
            sql.push_str("RESET ALL; ");
        }
        // The roles last: they may not be allowed to set the others.
        let roles = ROLES.iter().filter_map(|role| self.0.get_key_value(*role));
        let others = self
            .0
            .iter()
            .filter(|(name, _)| !ROLES.contains(&name.as_str()));
        let calls: Vec<String> = others
            .chain(roles)
            .map(|(name, value)| format!("set_config({}, {}, false)", quoted(name), quoted(value)))
            .collect();
        if !calls.is_empty() {
            sql.push_str("SELECT ");
            sql.push_str(&calls.join(", "));
        }
        sql
    }

    /// The names whose values must be read again after a statement that may have changed those in `also`.
    pub(crate) fn names_with(&self, also: &[String]) -> Vec<String> {
        let mut names: Vec<String> = self.0.keys().chain(also).cloned().collect();
        names.sort();
        names.dedup();
        names
    }

    /// The SQL that reads the values of `names`.
    pub(crate) fn question(names: &[String]) -> String {
        let calls = names
            .iter()
            .map(|name| format!("current_setting({}, true)", quoted(name)));
        format!("SELECT {}", calls.collect::<Vec<_>>().join(", "))
    }

    /// The answer to [`question`](Self::question).
    pub(crate) fn read(&mut self, names: &[String], values: Vec<Option<String>>) {
        for (name, value) in names.iter().zip(values) {
            match value {
                Some(value) if !(name == "role" && value == "none") => {
                    self.0.insert(name.clone(), value);
                }
                _ => {
                    self.0.remove(name);
                }
            }
        }
    }
}

/// As a literal, whatever `standard_conforming_strings` says.
fn quoted(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::default();
        for (name, value) in pairs {
            settings.set(name, (*value).to_owned());
        }
        settings
    }

    #[test]
    fn a_switch_takes_back_only_what_was_set() {
        let none = Settings::default();
        let zone = settings(&[("TimeZone", "it's")]);
        let role = settings(&[("work_mem", "4MB"), ("role", "a\\b")]);
        assert_eq!(none.switch_from(Some(&none)), "");
        assert_eq!(none.switch_from(Some(&zone)), "RESET ALL; ");
        assert_eq!(
            zone.switch_from(Some(&none)),
            "SELECT set_config('timezone', 'it''s', false)"
        );
        assert_eq!(
            role.switch_from(None),
            "SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; \
            SELECT set_config('work_mem', '4MB', false), set_config('role', E'a\\\\b', false)"
        );
        assert_eq!(
            zone.switch_from(Some(&role)),
            "SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; SELECT set_config('timezone', 'it''s', false)"
        );
    }

    #[test]
    fn what_the_server_says_counts() {
        let mut settings = settings(&[("a.b", "1"), ("role", "me")]);
        let names = settings.names_with(&["c.d".to_owned(), "role".to_owned()]);
        assert_eq!(names, ["a.b", "c.d", "role"]);
        settings.read(&names, vec![None, Some("2".into()), Some("none".into())]);
        assert_eq!(settings, self::settings(&[("c.d", "2")]));
    }
}

//! The settings of a client's session, which move with it from one use of the backend to the next.
//!
//! A value is what the server says it is, never what a client's text seems to set: a transaction may have been rolled
//! back, and a function may have decided. It is read and set as UTF-8, whatever encoding the session speaks.

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
    ///
    /// If it fails, the session is left in a failed transaction. So nothing that was sent behind it runs with settings
    /// that are not its own, unless it begins by ending that transaction.
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
            .map(|(name, value)| {
                format!(
                    "set_config({}, {}, false)",
                    quoted(name),
                    in_any_encoding(value)
                )
            })
            .collect();
        if !calls.is_empty() {
            sql.push_str("SELECT ");
            sql.push_str(&calls.join(", "));
            sql.push_str("; ");
        }
        match sql.is_empty() {
            true => sql,
            false => format!("BEGIN; {sql}COMMIT"),
        }
    }

    /// The names whose values must be read again after a statement that may have changed those in `also`.
    /// Those in `startup` may have been reset.
    pub(crate) fn names_with(&self, also: &[String], startup: &Self) -> Vec<String> {
        let own = self.0.keys().chain(startup.0.keys());
        let mut names: Vec<String> = own.chain(also).cloned().collect();
        names.sort();
        names.dedup();
        names
    }

    /// The SQL that reads the values of `names`: of those that are in `self`, only if the session has not reset them.
    pub(crate) fn question(&self, names: &[String]) -> String {
        let calls = names.iter().map(|name| {
            let quoted = quoted(name);
            let plain = format!("current_setting({quoted}, true)");
            let value = format!("encode(convert_to({plain}, 'UTF8'), 'hex')");
            if !self.0.contains_key(name) {
                return value;
            }
            // Settings of a name of the client's own are not in that view, and are empty when they are reset.
            format!(
                "CASE coalesce((SELECT source FROM pg_catalog.pg_settings WHERE lower(name) = {quoted}), \
                CASE {plain} WHEN '' THEN '' ELSE 'session' END) WHEN 'session' THEN {value} END"
            )
        });
        format!("SELECT {}", calls.collect::<Vec<_>>().join(", "))
    }

    /// Adds those of `other` whose names are not here. Returns them.
    pub(crate) fn fill_from(&mut self, other: &Self) -> Self {
        let missing = other
            .0
            .iter()
            .filter(|(name, _)| !self.0.contains_key(*name));
        let missing: BTreeMap<_, _> = missing
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        self.0.extend(missing.clone());
        Self(missing)
    }

    /// The answer to [`question`](Self::question).
    pub(crate) fn read(&mut self, names: &[String], values: Vec<Option<String>>) {
        for (name, value) in names.iter().zip(values) {
            match value.as_deref().and_then(from_hex) {
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

/// Text outside ASCII, in a session whose encoding need not be ours.
fn in_any_encoding(text: &str) -> String {
    if text.is_ascii() {
        return quoted(text);
    }
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("convert_from(decode('{hex}', 'hex'), 'UTF8')")
}

fn from_hex(hex: &str) -> Option<String> {
    let bytes = hex.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    String::from_utf8(bytes.collect::<Option<_>>()?).ok()
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
        assert_eq!(none.switch_from(Some(&zone)), "BEGIN; RESET ALL; COMMIT");
        assert_eq!(
            zone.switch_from(Some(&none)),
            "BEGIN; SELECT set_config('timezone', 'it''s', false); COMMIT"
        );
        assert_eq!(
            role.switch_from(None),
            "BEGIN; SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; \
            SELECT set_config('work_mem', '4MB', false), set_config('role', E'a\\\\b', false); COMMIT"
        );
        assert_eq!(
            zone.switch_from(Some(&role)),
            "BEGIN; SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; \
            SELECT set_config('timezone', 'it''s', false); COMMIT"
        );
    }

    #[test]
    fn what_the_server_says_counts() {
        let mut settings = settings(&[("a.b", "1"), ("role", "me")]);
        let names = settings.names_with(
            &["c.d".to_owned(), "role".to_owned()],
            &self::settings(&[("geqo", "off")]),
        );
        assert_eq!(names, ["a.b", "c.d", "geqo", "role"]);
        let said = [None, Some("c3a932"), None, Some("6e6f6e65")];
        let said = said.map(|hex| hex.map(str::to_owned)).to_vec();
        settings.read(&names, said);
        assert_eq!(settings, self::settings(&[("c.d", "é2")]));
        let startup = self::settings(&[("c.d", "1"), ("geqo", "off")]);
        let reset = settings.fill_from(&startup);
        assert_eq!(reset, self::settings(&[("geqo", "off")]));
        assert_eq!(settings, self::settings(&[("c.d", "é2"), ("geqo", "off")]));
        assert_eq!(
            settings.switch_from(Some(&Settings::default())),
            "BEGIN; SELECT set_config('c.d', convert_from(decode('c3a932', 'hex'), 'UTF8'), false), \
            set_config('geqo', 'off', false); COMMIT"
        );
    }
}

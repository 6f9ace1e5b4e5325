//! The variables of an app's own, checked together.
//!
//! They are read from the environment of this process, where `cargo dev` puts the variables of `.env`. A fault is noted
//! and the reading goes on with a value from the code, so that one start names them all. No message contains a value that
//! the user has set: it may be a secret.

use std::{collections::BTreeMap, ffi::OsString, fmt, str::FromStr};

use super::{Env, Fault, Faults};

/// Reads variables of the app's own; see [`Env::own`].
pub struct Own<'a> {
    find: &'a dyn Fn(&str) -> Option<OsString>,
    sources: &'a BTreeMap<String, String>,
    faults: Vec<Fault>,
}

impl Env {
    /// Reads the variables of the app's own, and checks all of them before it returns.
    ///
    /// ```
    /// # use shared::{AppState, BoxError};
    /// # use axum::Router;
    /// struct Config {
    ///     api_key: String,
    ///     workers: u16,
    ///     debug: Option<bool>,
    /// }
    ///
    /// async fn app(state: AppState) -> Result<Router, BoxError> {
    ///     let config = state.env.own(|own| Config {
    ///         api_key: own.required("API_KEY", "sk-123"), // the example is for the message
    ///         workers: own.or("WORKERS", "4"),
    ///         debug: own.optional("DEBUG"),
    ///     })?;
    ///     // …
    /// #   let _ = (config.api_key, config.workers, config.debug);
    /// #   Ok(Router::new())
    /// }
    ///
    /// # let env = shared::env::Env::read(&Default::default()).unwrap();
    /// let read = env.own(|own| own.required::<String>("API_KEY", "sk-123"));
    /// let message = read.unwrap_err().to_string();
    /// assert!(message.contains("API_KEY\n    is not set\n    example: API_KEY=sk-123"));
    /// ```
    ///
    /// Whitespace around a value does not count, and an empty value is an unset one. After a fault `read` goes on with
    /// the example or the default, and what it returns is dropped: it should do no more than read.
    ///
    /// # Errors
    ///
    /// [`Faults`], which names every variable that is missing or does not parse, in the words of its type.
    ///
    /// # Panics
    ///
    /// If an example or a default does not parse.
    pub fn own<T>(&self, read: impl FnOnce(&mut Own<'_>) -> T) -> Result<T, Faults> {
        self.own_in(&|name| std::env::var_os(name), read)
    }

    fn own_in<T>(
        &self,
        find: &dyn Fn(&str) -> Option<OsString>,
        read: impl FnOnce(&mut Own<'_>) -> T,
    ) -> Result<T, Faults> {
        let mut own = Own {
            find,
            sources: &self.sources,
            faults: Vec::new(),
        };
        let value = read(&mut own);
        Faults::unless(own.faults, value)
    }
}

impl Own<'_> {
    /// A variable that must be set. The message shows `example` as a line for `.env`.
    ///
    /// # Panics
    ///
    /// If `example` does not parse.
    #[track_caller]
    pub fn required<T: FromStr<Err: fmt::Display>>(&mut self, variable: &str, example: &str) -> T {
        let stand_in = in_code(variable, "example", example);
        let given = self.given(variable);
        if given.is_none() {
            self.note(variable, "is not set".to_owned(), None, Some(example));
        }
        given
            .and_then(|value| self.parse(variable, value, Some(example)))
            .unwrap_or(stand_in)
    }

    /// A variable with a default, written as it would be in `.env`.
    ///
    /// # Panics
    ///
    /// If `default` does not parse.
    #[track_caller]
    pub fn or<T: FromStr<Err: fmt::Display>>(&mut self, variable: &str, default: &str) -> T {
        let stand_in = in_code(variable, "default", default);
        self.given(variable)
            .and_then(|value| self.parse(variable, value, Some(default)))
            .unwrap_or(stand_in)
    }

    /// A variable that may be unset.
    pub fn optional<T: FromStr<Err: fmt::Display>>(&mut self, variable: &str) -> Option<T> {
        self.given(variable)
            .and_then(|value| self.parse(variable, value, None))
    }

    /// The value, unless it is empty: users write `WORKERS=` in a `.env` file to disable a line.
    fn given(&self, variable: &str) -> Option<OsString> {
        (self.find)(variable).filter(|value| !value.to_string_lossy().trim().is_empty())
    }

    fn parse<T: FromStr<Err: fmt::Display>>(
        &mut self,
        variable: &str,
        value: OsString,
        example: Option<&str>,
    ) -> Option<T> {
        let parsed = match value.to_str().map(str::trim) {
            Some(text) => text
                .parse()
                .map_err(|error: T::Err| without(text, &error.to_string())),
            None => Err("it is not UTF-8".to_owned()),
        };
        match parsed {
            Ok(value) => Some(value),
            Err(words) => {
                let source = self.sources.get(variable).cloned();
                self.note(
                    variable,
                    format!("does not parse: {words}"),
                    source,
                    example,
                );
                None
            }
        }
    }

    fn note(
        &mut self,
        variable: &str,
        problem: String,
        source: Option<String>,
        example: Option<&str>,
    ) {
        self.faults.push(Fault {
            variable: variable.to_owned(),
            problem,
            source,
            example: example.map(quoted),
        });
    }
}

/// Parses what stands in the code. That it does is the app's to ensure, and seen on every start, faulty or not.
#[track_caller]
fn in_code<T: FromStr<Err: fmt::Display>>(variable: &str, what: &str, text: &str) -> T {
    match text.parse() {
        Ok(value) => value,
        Err(error) => panic!("the {what} `{text}` of {variable} does not parse: {error}"),
    }
}

/// As it has to be written in `.env`, where some characters mean something.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.:/@,+%=?&".contains(c);
    match text.chars().all(is_plain) {
        true => text.to_owned(),
        false if !text.contains('\'') => format!("'{text}'"),
        false => {
            let escape = |text: String, c| text.replace(c, &format!("\\{c}"));
            format!(
                "\"{}\"",
                ['\\', '"', '$'].into_iter().fold(text.to_owned(), escape)
            )
        }
    }
}

/// What an error says, with `…` where it repeats the value, as it is or as `Debug` shows it.
fn without(value: &str, words: &str) -> String {
    let escaped = value.escape_debug().to_string();
    hide(value, &hide(&escaped, words))
}

/// A short value is hidden only where it stands alone: `1` is also a part of `10`.
fn hide(value: &str, words: &str) -> String {
    let (mut hidden, mut rest) = (String::new(), 0);
    for (start, _) in words.match_indices(value) {
        let end = start + value.len();
        let stands_alone = !words[..start].ends_with(char::is_alphanumeric)
            && !words[end..].starts_with(char::is_alphanumeric);
        if stands_alone || value.len() > 3 {
            hidden.push_str(&words[rest..start]);
            hidden.push('…');
            rest = end;
        }
    }
    hidden + &words[rest..]
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;
    use crate::env::Variables;

    /// Its words repeat the value, in two ways.
    #[derive(Debug)]
    struct Loud;

    impl FromStr for Loud {
        type Err = String;

        fn from_str(text: &str) -> Result<Self, String> {
            match text {
                "quiet" => Ok(Self),
                other => Err(format!("{other} and {other:?} are no Loud")),
            }
        }
    }

    fn own<T>(
        variables: &[(&str, &[u8])],
        read: impl FnOnce(&mut Own<'_>) -> T,
    ) -> Result<T, String> {
        let file = variables
            .iter()
            .map(|(name, _)| ((*name).to_owned(), String::new()));
        let env = Env::read(&Variables::default().with(".env", file)).expect("nothing is set");
        let find = |wanted: &str| {
            let found = variables.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| OsString::from_vec(value.to_vec()))
        };
        env.own_in(&find, read).map_err(|faults| faults.to_string())
    }

    #[test]
    fn what_is_set_is_parsed_and_the_rest_has_its_default() {
        let read = own(
            &[("KEY", b" sk-1 \n"), ("WORKERS", b" "), ("DEBUG", b"true")],
            |own| {
                let key: String = own.required("KEY", "sk-123");
                let workers: u16 = own.or("WORKERS", "4");
                let debug: Option<bool> = own.optional("DEBUG");
                let level: Option<u8> = own.optional("LEVEL");
                (key, workers, debug, level)
            },
        );
        assert_eq!(read, Ok(("sk-1".to_owned(), 4, Some(true), None)));
    }

    #[test]
    fn all_faults_come_at_once_and_none_with_its_value() {
        let said = own(
            &[
                ("WORKERS", b"hunter2"),
                ("DEBUG", b"hunt\"er3"),
                ("LOUD", b"or"),
                ("BYTES", b"hunter\xff"),
            ],
            |own| {
                own.required::<String>("KEY", "a key # 1");
                own.required::<String>("NAME", r#"it's "$1" \"#);
                own.or::<u16>("WORKERS", "4");
                own.optional::<Loud>("DEBUG");
                own.required::<Loud>("LOUD", "quiet");
                own.optional::<String>("BYTES");
            },
        );
        let wanted = "6 settings are wrong:\n\n  \
             KEY\n    is not set\n    example: KEY='a key # 1'\n\n  \
             NAME\n    is not set\n    example: NAME=\"it's \\\"\\$1\\\" \\\\\"\n\n  \
             WORKERS (from .env)\n    does not parse: invalid digit found in string\n    example: WORKERS=4\n\n  \
             DEBUG (from .env)\n    does not parse: … and \"…\" are no Loud\n\n  \
             LOUD (from .env)\n    does not parse: … and \"…\" are no Loud\n    example: LOUD=quiet\n\n  \
             BYTES (from .env)\n    does not parse: it is not UTF-8";
        assert_eq!(said, Err(wanted.to_owned()));
    }

    #[test]
    #[should_panic(expected = "the example `many` of WORKERS does not parse: invalid digit")]
    fn an_example_that_does_not_parse_is_seen_though_the_variable_is_set() {
        drop(own(&[("WORKERS", b"4")], |own| {
            own.required::<u16>("WORKERS", "many")
        }));
    }
}

//! Reads `.env`.
//!
//! dotenvy does the parsing. Where a value refers to a variable (`$NAME`), dotenvy prefers the environment, which may
//! contain a value that the host itself took from an earlier version of this file. Such names are hidden from dotenvy.

use std::{borrow::Cow, io, path::Path};

use super::environment;

/// Appended to a name to hide it: no variable in the environment has such a name.
const HIDDEN: &str = "xNOTxFROMxTHExENVIRONMENTx";

/// The variables of the file, in its order. Empty if there is no file.
pub(super) fn read(path: &Path) -> Result<Vec<(String, String)>, dotenvy::Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, environment::was_added),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(dotenvy::Error::Io(error)),
    }
}

fn parse(
    text: &str,
    to_hide: impl Fn(&str) -> bool,
) -> Result<Vec<(String, String)>, dotenvy::Error> {
    let parsed = |text: &str| dotenvy::from_read_iter(text.as_bytes()).collect();
    let hidden = hide(text, to_hide);
    let variables: Result<Vec<(String, String)>, dotenvy::Error> = parsed(&hidden);
    let Ok(variables) = variables else {
        return parsed(text); // parse the original, so that the error shows the line as written
    };
    let restore = |text: String| text.replace(HIDDEN, "");
    let restored = variables
        .into_iter()
        .map(|(name, value)| (restore(name), restore(value)));
    Ok(restored.collect())
}

/// Appends [`HIDDEN`] to every occurrence of a name. Occurrences that are no references are renamed too, and restored
/// after parsing.
fn hide(text: &str, to_hide: impl Fn(&str) -> bool) -> Cow<'_, str> {
    let (mut hidden, mut rest) = (String::new(), text);
    while let Some(start) = rest.find(is_name_char) {
        let (before, from) = rest.split_at(start);
        // Without braces, dotenvy's names end before `_`.
        let is_part: fn(char) -> bool = match before.ends_with('$') {
            true => char::is_alphanumeric,
            false => is_name_char,
        };
        let end = from.find(|c| !is_part(c)).unwrap_or(from.len()).max(1);
        let (name, after) = from.split_at(end);
        hidden.push_str(before);
        hidden.push_str(name);
        if to_hide(name) {
            hidden.push_str(HIDDEN);
        }
        rest = after;
    }
    hidden.push_str(rest);
    hidden.into()
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mention_of_a_variable_that_came_later_means_the_line_in_the_file() {
        // PATH stands for one that an earlier state of the file has put into the environment.
        let text = "PATH=/new\nMY_PATH=/mine\nA=${PATH}/a\nB=\"$PATH/b ${MY_PATH}\"\nC='$PATH'\nD=$PATHS # PATH\nE=$PATH_E\n";
        let read = parse(text, |name| name == "PATH" || name == "MY_PATH").expect("it is valid");
        let value = |wanted: &str| {
            let found = read.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(value("PATH"), Some("/new"));
        assert_eq!(value("A"), Some("/new/a"));
        assert_eq!(value("B"), Some("/new/b /mine"));
        assert_eq!(value("C"), Some("$PATH"));
        assert_eq!(value("D"), Some(""));
        assert_eq!(value("E"), Some("/new_E"));
        // A variable set by the user overrides the file.
        let given = parse("PATH=/new\nA=$PATH\n", |_| false).expect("it is valid");
        assert_eq!(
            given[1].1,
            std::env::var("PATH").expect("every user has it")
        );
        let error = parse("PATH=one two\n", |name| name == "PATH").expect_err("two words");
        assert!(!error.to_string().contains(HIDDEN), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_hidden_from_dotenvy_comes_back_as_it_was(
            name in "[A-Z][A-Z_]{0,8}",
            value in "[a-zA-Z0-9_ ${}#=.-]{0,20}",
            hidden in "[A-Z][A-Z_]{0,8}",
        ) {
            // Nothing is replaced in single quotes.
            let text = format!("{name}='{value}'\n");
            let read = parse(&text, |it| it == hidden || it == name).expect("it is valid");
            prop_assert_eq!(read, [(name, value)]);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}(\n\\PC{0,30})?") {
            if let Err(error) = parse(&text, |name| name.len() == 1) {
                prop_assert!(!error.to_string().contains(HIDDEN));
            }
        }
    }
}

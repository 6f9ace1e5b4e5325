//! A row of the table of settings, and the reader that goes through the rows.

use super::{Fault, Faults, Variables};
use serde::Serialize;

/// One setting: all that is said about it, once. The command line, `.env.example`, the dashboard and the documents are
/// made from it.
#[derive(Debug)]
pub struct Setting {
    /// The variable, in the environment and in `.env`.
    pub variable: &'static str,
    /// As it would be written; empty if there is none.
    pub default: &'static str,
    /// For a fault, and for `.env.example`.
    pub example: &'static str,
    /// One line.
    pub help: &'static str,
    /// More lines for `.env.example`.
    pub note: &'static str,
    /// What a change takes in a running dev server.
    pub change: Change,
}

/// What a changed setting takes to be in effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The pool is drained and replaced.
    Pool,
    /// The next generation gets it; running ones keep theirs.
    Generation,
    /// The user restarts the host.
    Restart,
}

/// A setting as it may be shown: its effective value, where it came from, secrets masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownSetting {
    /// The variable.
    pub name: &'static str,
    /// The effective value; a password in it is masked.
    pub value: String,
    /// `.env`, `the environment`, a flag, or `default`.
    pub source: String,
    /// What a change takes.
    pub change: Change,
}

/// Reads settings from variables. Goes on after a fault, so that one pass finds them all.
#[derive(Debug)]
pub struct Reader<'a> {
    variables: &'a Variables,
    faults: Vec<Fault>,
    entries: Vec<ShownSetting>,
}

impl<'a> Reader<'a> {
    /// A reader of these variables.
    #[must_use]
    pub fn new(variables: &'a Variables) -> Self {
        Self {
            variables,
            faults: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Reads one setting. A faulty value is recorded, and the default returned in its place.
    ///
    /// # Panics
    ///
    /// If `parse` does not take the default.
    pub fn take<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        self.take_masked(setting, parse, |_, text| text.to_owned())
    }

    /// The same for a value that is not shown as it is written.
    ///
    /// # Panics
    ///
    /// If `parse` does not take the default.
    pub fn take_masked<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, String>,
        show: impl Fn(&T, &str) -> String,
    ) -> T {
        let default = || parse(setting.default).expect("a default is valid");
        // An empty value counts as unset: users write `PORT=` in a .env file to disable a line.
        let given = self.variables.values.get(setting.variable);
        let given = given.filter(|(value, _)| !value.trim().is_empty());
        let (value, text, source) = match given {
            None => (default(), setting.default, "default"),
            Some((text, source)) => match parse(text.trim()) {
                Ok(value) => (value, text.trim(), source.as_str()),
                Err(problem) => {
                    self.faults.push(Fault {
                        variable: setting.variable.to_owned(),
                        problem,
                        source: Some(source.clone()),
                        example: Some(setting.example.to_owned()),
                    });
                    (default(), setting.default, "default")
                }
            },
        };
        self.entries.push(ShownSetting {
            name: setting.variable,
            value: show(&value, text),
            source: source.to_owned(),
            change: setting.change,
        });
        value
    }

    /// What was read, in the order of reading.
    #[must_use]
    pub fn entries(&self) -> Vec<ShownSetting> {
        self.entries.clone()
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// [`Faults`], if a value was wrong.
    pub fn finish(self) -> Result<(), Faults> {
        Faults::unless(self.faults, ())
    }
}

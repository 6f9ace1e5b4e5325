//! What is said and asked. Asks only on a terminal; elsewhere flags answer.

use std::io::{BufRead, Write};

use crate::failure::{Failure, refuse};

/// Where a command writes, and where answers come from.
pub struct Console<'a> {
    out: &'a mut dyn Write,
    /// `None` where nobody can answer.
    answers: Option<&'a mut dyn BufRead>,
}

impl<'a> Console<'a> {
    /// Writes to `out`, and reads answers from `answers` if there is a terminal.
    pub fn new(out: &'a mut dyn Write, answers: Option<&'a mut dyn BufRead>) -> Self {
        Self { out, answers }
    }

    /// Writes a line, or several.
    pub(crate) fn say(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        writeln!(self.out, "{}", text.as_ref()).map_err(Failure::Console)
    }

    pub(crate) fn can_ask(&self) -> bool {
        self.answers.is_some()
    }

    /// Asks a question whose answer is yes unless it begins with n. `yes` is the flag that answers it.
    pub(crate) fn confirm(&mut self, question: &str, yes: bool) -> Result<bool, Failure> {
        if yes {
            return Ok(true);
        }
        if !self.can_ask() {
            return refuse("this is not a terminal, so nobody can confirm: add --yes");
        }
        let answer = self.ask(&format!("{question} [Y/n] "))?;
        Ok(answer.is_some_and(|answer| matches!(answer.to_lowercase().as_str(), "" | "y" | "yes")))
    }

    /// Asks which one, until the answer is one of the numbers.
    pub(crate) fn choose(&mut self, question: &str, from: &[String]) -> Result<usize, Failure> {
        for (number, choice) in from.iter().enumerate() {
            self.say(format!("  {}  {choice}", number + 1))?;
        }
        loop {
            let Some(answer) = self.ask(&format!("{question} [1] "))? else {
                return refuse("no answer");
            };
            match answer.parse::<usize>() {
                _ if answer.is_empty() => return Ok(0),
                Ok(number @ 1..) if number <= from.len() => return Ok(number - 1),
                _ => self.say(format!("A number from 1 to {}, please.", from.len()))?,
            }
        }
    }

    /// `None` at the end of input.
    fn ask(&mut self, question: &str) -> Result<Option<String>, Failure> {
        let Some(answers) = &mut self.answers else {
            return Ok(None);
        };
        let asked = write!(self.out, "{question}").and_then(|()| self.out.flush());
        asked.map_err(Failure::Console)?;
        let mut answer = String::new();
        let read = answers.read_line(&mut answer).map_err(Failure::Console)?;
        Ok((read > 0).then(|| answer.trim().to_owned()))
    }
}

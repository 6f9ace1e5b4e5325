//! What becomes of the statements in a unit, for those who trace requests.
//!
//! Owns the pairing of answers with statements: the backend answers what a unit executes in its order. Knows the text of
//! a statement by the Parse that made it; of a portal that an earlier unit has bound, nothing is reported.

use std::{collections::VecDeque, time::Instant};

use shared_db::trace::Outcome;

use crate::{
    frame::Frame,
    message::{Kind, Message},
    reply,
    statements::Statements,
};

/// A statement that a client has run.
#[derive(Clone, Debug)]
pub struct Executed {
    /// What names it: a Parse, or a simple query.
    source: Message,
    /// When it was sent to the backend; before that, it may have waited for its turn.
    pub since: Instant,
    /// What it came to.
    pub outcome: Outcome,
}

impl Executed {
    /// The name that its client has given it; empty if none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.source.statement().unwrap_or_default()
    }

    /// Its text. Of a simple query, all statements.
    #[must_use]
    pub fn sql(&self) -> &str {
        self.source.sql().unwrap_or_default()
    }
}

/// The statements of a unit that have no answer yet, oldest first. `None`: one of which nothing is known.
#[derive(Default)]
pub(crate) struct Running {
    statements: VecDeque<Option<Executed>>,
    /// What each portal was bound to in this unit.
    bound: Vec<(String, Message)>,
}

impl Running {
    /// A message is sent to the backend.
    pub(crate) fn sent(&mut self, message: &Message, statements: &Statements) {
        let source = match message.kind() {
            Kind::Bind => {
                let name = message.statement().unwrap_or_default();
                let portal = message.portal().to_owned();
                self.bound.retain(|(bound, _)| *bound != portal);
                let parse = statements.parse(name).cloned();
                self.bound.extend(parse.map(|parse| (portal, parse)));
                return;
            }
            Kind::Whole => message.sql().is_some().then(|| message.clone()),
            Kind::Part if message.executes() => {
                let mut bound = self.bound.iter();
                let bound = bound.find(|(portal, _)| portal == message.portal());
                bound.map(|(_, parse)| parse.clone())
            }
            _ => return,
        };
        self.statements.push_back(source.map(|source| Executed {
            source,
            since: Instant::now(),
            outcome: Outcome::Rows(None),
        }));
    }

    /// A message of the backend. What has ended with it.
    pub(crate) fn answered(&mut self, frame: &Frame) -> Option<Executed> {
        match frame.tag() {
            b'C' => {
                let rows = reply::rows(frame);
                let first = self.statements.front_mut()?;
                if let Some(executed) = first {
                    executed.outcome = Outcome::Rows(rows);
                    // Of a simple query there may be more; ReadyForQuery ends it.
                    if executed.source.kind() == Kind::Whole {
                        return None;
                    }
                }
                self.statements.pop_front()?
            }
            // An empty statement, or as many rows as the client wants for now.
            b'I' | b's' => self.statements.pop_front()?,
            b'E' => {
                let failed = self.statements.pop_front()?;
                self.statements.clear(); // the backend skips them
                failed.map(|executed| {
                    let (code, message) = reply::error(frame);
                    let outcome = Outcome::Failed(Some(code), message);
                    Executed {
                        outcome,
                        ..executed
                    }
                })
            }
            b'Z' => self.statements.pop_front()?,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};
    use postgres_protocol::message::frontend;

    use super::*;
    use crate::{effects::Effects, frame};

    /// Sends these, and says what the answers come to: each statement's name, text and outcome.
    fn ran(said: &BytesMut, answers: &[(u8, &str)]) -> Vec<String> {
        let (mut running, mut statements) = (Running::default(), Statements::default());
        let mut said = said.clone();
        while let Some(frame) = frame::next(&mut said).unwrap() {
            let message = Message::of(frame).unwrap();
            if message.kind() == Kind::Parse {
                statements.said(&message, Effects::default());
                statements.sent(&message);
            }
            running.sent(&message, &statements);
        }
        let answers = answers.iter().filter_map(|(tag, text)| {
            let mut bytes = BytesMut::new();
            bytes.put_u8(*tag);
            bytes.put_u32(u32::try_from(text.len() + 5).unwrap());
            bytes.put_slice(text.as_bytes());
            bytes.put_u8(0);
            running.answered(&frame::next(&mut bytes).unwrap().unwrap())
        });
        answers
            .map(|it| format!("{} {} {:?}", it.name(), it.sql(), it.outcome))
            .collect()
    }

    fn execute(name: &str, out: &mut BytesMut) {
        let no_params = std::iter::empty::<i32>();
        let bound = frontend::bind(
            "",
            name,
            [],
            no_params,
            |_, _| Ok(postgres_protocol::IsNull::Yes),
            [1],
            out,
        );
        assert!(bound.is_ok());
        frontend::execute("", 0, out).unwrap();
    }

    #[test]
    fn each_statement_of_a_unit_gets_its_own_answer() {
        let mut said = BytesMut::new();
        frontend::parse("s0", "SELECT 1", [], &mut said).unwrap();
        frontend::parse("s1", "DELETE FROM t", [], &mut said).unwrap();
        for name in ["s0", "s1", "s0", "s1"] {
            execute(name, &mut said);
        }
        frontend::sync(&mut said);
        let answers = [
            (b'1', ""),
            (b'2', ""),
            (b'D', ""),
            (b'C', "SELECT 3"),
            (b'C', "DELETE 2"),
            (b'E', "C23505\0Mtaken\0"),
            (b'Z', ""),
        ];
        assert_eq!(
            ran(&said, &answers),
            [
                "s0 SELECT 1 Rows(Some(3))",
                "s1 DELETE FROM t Rows(Some(2))",
                "s0 SELECT 1 Failed(Some(\"23505\"), \"taken\")",
            ],
            "and of what the backend skips, nothing"
        );
    }

    #[test]
    fn a_simple_query_is_one_however_many_statements_it_has() {
        let mut said = BytesMut::new();
        frontend::query("BEGIN; SELECT 1", &mut said).unwrap();
        let answers = [(b'C', "BEGIN"), (b'C', "SELECT 1"), (b'Z', "")];
        assert_eq!(
            ran(&said, &answers),
            [" BEGIN; SELECT 1 Rows(Some(1))"],
            "the rows are those of the last"
        );
    }

    #[test]
    fn a_portal_of_an_earlier_unit_takes_no_answer_of_others() {
        let mut said = BytesMut::new();
        frontend::execute("portal", 10, &mut said).unwrap();
        frontend::parse("s0", "SELECT 1", [], &mut said).unwrap();
        execute("s0", &mut said);
        let answers = [(b's', ""), (b'C', "SELECT 1"), (b'Z', "")];
        assert_eq!(ran(&said, &answers), ["s0 SELECT 1 Rows(Some(1))"]);
    }
}

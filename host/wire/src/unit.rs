//! A unit of work: what a client says up to a Sync, or one simple query. The backend answers it with ReadyForQuery.

use crate::{
    effects::{Effects, Listen, effects_of},
    message::{Kind, Message},
    statements::Statements,
};

/// Messages of one unit, in order.
#[derive(Default)]
pub(crate) struct Unit {
    pub(crate) messages: Vec<Message>,
    /// Of what it executes; a statement that is only prepared does nothing yet.
    pub(crate) effects: Effects,
    /// The backend answers it with ReadyForQuery: nothing is missing.
    pub(crate) complete: bool,
    /// The client waits for answers before it says the rest.
    pub(crate) flushed: bool,
    pub(crate) length: usize,
}

impl Unit {
    /// Adds a message and keeps the client's `statements` up to date. Copy data belongs to no unit.
    pub(crate) fn add(&mut self, message: Message, statements: &mut Statements) {
        match message.kind() {
            Kind::Parse => {
                let effects = message.sql().map_or_else(unknown, effects_of);
                statements.said(&message, effects);
            }
            Kind::Bind => {
                let name = message.statement().unwrap_or_default();
                match statements.effects(name) {
                    Some(effects) => self.effects.merge(effects),
                    None => self.effects.merge(&unknown()), // the backend says what is wrong with it
                }
            }
            Kind::Whole => {
                self.complete = true;
                statements.said_close(""); // as PostgreSQL does
                match message.sql() {
                    Some(sql) => self.effects.merge(&effects_of(sql)),
                    None => self.effects.alone = true, // a function call
                }
            }
            Kind::Sync => self.complete = true,
            Kind::Flush => self.flushed = true,
            Kind::Part if message.closes() => {
                if let Some(name) = message.statement() {
                    statements.said_close(name);
                }
            }
            Kind::Part | Kind::Copy | Kind::Terminate => {}
        }
        self.length += message.len();
        self.messages.push(message);
    }

    /// It may run between the units of others.
    pub(crate) fn interleaves(&self) -> bool {
        self.complete && !self.flushed && !self.effects.alone
    }

    /// A simple query of this one statement.
    pub(crate) fn unlistens(&self) -> Option<&Listen> {
        match (&self.messages[..], &self.effects.listens[..]) {
            ([query], [off @ (Listen::Off(_) | Listen::AllOff)])
                if !self.effects.forgets_statements
                    && query
                        .sql()
                        .is_some_and(|sql| !sql.trim_end().trim_end_matches(';').contains(';')) =>
            {
                Some(off)
            }
            _ => None,
        }
    }
}

/// Of a statement that cannot be read, or is not there.
fn unknown() -> Effects {
    Effects {
        alone: true,
        resets_settings: true,
        ..Effects::default()
    }
}

impl Effects {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.alone |= other.alone;
        self.resets_settings |= other.resets_settings;
        self.forgets_statements |= other.forgets_statements;
        self.session = self.session.or(other.session);
        self.settings.extend_from_slice(&other.settings);
        self.listens.extend_from_slice(&other.listens);
    }
}

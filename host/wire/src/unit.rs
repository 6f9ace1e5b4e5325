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
    /// It executes a COPY, and does not end it.
    pub(crate) expects_data: bool,
}

impl Unit {
    /// Adds a message and keeps the client's `statements` up to date. Data counts behind a COPY only.
    pub(crate) fn add(&mut self, message: Message, statements: &mut Statements) {
        match message.kind() {
            Kind::Parse => {
                let effects = message.sql().map_or_else(unknown, effects_of);
                statements.said(&message, effects);
            }
            Kind::Bind => {
                let name = message.statement().unwrap_or_default();
                // Of one that is not there, the backend says what is wrong with it.
                let effects = statements.effects(name).cloned().unwrap_or_else(unknown);
                self.effects.merge(&effects);
                statements.said_bind(message.portal(), &effects);
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
            Kind::Part if message.executes() => {
                self.effects.copies |= statements.copies(message.portal());
                if self.effects.copies {
                    // PostgreSQL says at once that it expects data.
                    (self.flushed, self.expects_data) = (true, true);
                }
            }
            Kind::Copy if !self.expects_data => return, // of no COPY: PostgreSQL takes no notice of it
            Kind::Copy => self.expects_data = !message.ends_data(),
            Kind::Part if message.closes() => {
                if let Some(name) = message.statement() {
                    statements.said_close(name);
                }
            }
            Kind::Part | Kind::Terminate => {}
        }
        self.push(message);
    }

    pub(crate) fn push(&mut self, message: Message) {
        self.length += message.len();
        self.messages.push(message);
    }

    /// The message cannot be in it: where it has executed a COPY, data is due.
    pub(crate) fn is_broken_by(&self, message: &Message) -> bool {
        let is_due = matches!(message.kind(), Kind::Copy | Kind::Sync | Kind::Flush);
        self.expects_data && !is_due
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
        ends: true,
        copies: true,
        ..Effects::default()
    }
}

impl Effects {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.alone |= other.alone;
        self.resets_settings |= other.resets_settings;
        self.forgets_statements |= other.forgets_statements;
        self.ends |= other.ends;
        self.copies |= other.copies;
        self.session = self.session.or(other.session);
        self.settings.extend_from_slice(&other.settings);
        self.listens.extend_from_slice(&other.listens);
    }
}

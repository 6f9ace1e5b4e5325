//! The prepared statements of a client, under its own names.
//!
//! Twice, since a client says more than has been sent for it: what a statement does is judged when it is said, and which
//! backend is to be told of it when it is sent. Kept until the client takes them back.

use std::collections::{HashMap, HashSet};

use crate::{effects::Effects, message::Message};

#[derive(Default)]
pub(crate) struct Statements {
    said: HashMap<String, (Message, Effects)>,
    sent: HashMap<String, Message>,
    /// Portals of a COPY. Within a transaction one may be executed in a later unit than the one that binds it.
    copies: HashSet<String>,
}

impl Statements {
    /// The client has said a Parse, whose statement has these effects.
    pub(crate) fn said(&mut self, parse: &Message, mut effects: Effects) {
        let name = parse.statement().unwrap_or_default();
        // PostgreSQL refuses a name that is taken, and the client goes on with the statement that has it.
        if let Some((_, before)) = self.said.get(name).filter(|_| !name.is_empty()) {
            effects.merge(before);
        }
        self.said.insert(name.to_owned(), (parse.clone(), effects));
    }

    /// The client has said a Bind, to a statement with these effects.
    pub(crate) fn said_bind(&mut self, portal: &str, effects: &Effects) {
        if effects.copies {
            self.copies.insert(portal.to_owned());
        } else {
            self.copies.remove(portal);
        }
    }

    /// Whether the server may expect data once this portal is executed.
    pub(crate) fn copies(&self, portal: &str) -> bool {
        self.copies.contains(portal)
    }

    /// The client has said a Close.
    pub(crate) fn said_close(&mut self, name: &str) {
        self.said.remove(name);
    }

    /// Of the statement that the client means now.
    pub(crate) fn effects(&self, name: &str) -> Option<&Effects> {
        self.said.get(name).map(|(_, effects)| effects)
    }

    /// A Parse is sent to a backend. Returns the one that had its name.
    pub(crate) fn sent(&mut self, parse: &Message) -> Option<Message> {
        let name = parse.statement().unwrap_or_default();
        self.sent.insert(name.to_owned(), parse.clone())
    }

    /// A Close is sent to a backend. Returns the Parse of the statement that it takes back.
    pub(crate) fn sent_close(&mut self, name: &str) -> Option<Message> {
        self.sent.remove(name)
    }

    /// The Parse that made the statement, for a backend that does not know it.
    pub(crate) fn parse(&self, name: &str) -> Option<&Message> {
        self.sent.get(name)
    }

    /// The backend has refused or skipped this Parse. Another may have taken its name since.
    pub(crate) fn unparsed(&mut self, parse: &Message, before: Option<Message>) {
        let name = parse.statement().unwrap_or_default();
        if self.said.get(name).is_some_and(|(last, _)| last.is(parse)) {
            self.said.remove(name);
        }
        if self.parse(name).is_some_and(|last| last.is(parse)) {
            self.sent.remove(name);
            // One without a name drops the one before even if it is refused; if it was skipped, this is not known here.
            if let Some(before) = before.filter(|_| !name.is_empty()) {
                self.sent.insert(name.to_owned(), before);
            }
        }
    }

    /// The backend has skipped the Close of the statement that this Parse has made.
    pub(crate) fn unclosed(&mut self, before: Message) {
        let name = before.statement().unwrap_or_default().to_owned();
        self.sent.entry(name).or_insert(before);
    }

    /// The client has taken all of them back.
    pub(crate) fn clear(&mut self) {
        self.said.clear();
        self.sent.clear();
    }
}

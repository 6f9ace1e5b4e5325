//! Which prepared statements a backend has: those that it has answered for, and those that are on their way to it.
//!
//! Owns the renaming of statements, and telling a backend again of those that it does not know. What is on its way
//! counts as soon as it is sent, since a client need not wait for answers; if the backend refuses or skips it, it counts
//! no longer.

use std::collections::{BTreeMap, HashSet};

use crate::{
    backend::Backend,
    client::Client,
    flight::{InFlight, Owner},
    ids::ClientId,
    message::{Kind, Message, put_close, put_empty},
    naming::Naming,
    unit::Unit,
};

impl Backend {
    /// Sends a message of `client`. The first of a unit opens it.
    pub(crate) fn send(&mut self, id: ClientId, client: &mut Client, message: &Message) {
        if !self.has_open_unit_of(id) {
            self.push(Owner::Client(id));
        }
        self.prepare_for(id, client, message);
        let is_anothers = message.statement() == Some("") && self.unnamed != Some(id);
        // One that SQL has prepared has the name that it was given.
        let in_sql = message.executed().is_some_and(|name| self.knows(id, name));
        let unit = self.flight.back_mut().expect("opened above");
        if client.is_traced {
            unit.running.sent(message, &client.statements);
        }
        match message.kind() {
            Kind::Whole => {
                unit.complete = true;
                self.unnamed = None; // PostgreSQL drops it, even another client's
                client.statements.sent_close("");
            }
            Kind::Sync => (unit.complete, unit.extended) = (true, true),
            _ => {
                unit.extended = true;
                unit.data_ends += u32::from(message.ends_data());
            }
        }
        if in_sql {
            message.write_executing(&client.prefix, &mut self.out);
        } else if is_anothers {
            message.write_renamed(&client.prefix, &mut self.out); // which does not exist
        } else {
            message.write(&client.prefix, &mut self.out);
        }
    }

    /// Notes what the message prepares or takes back. A statement that it uses and that this backend does not know is
    /// prepared again first.
    fn prepare_for(&mut self, id: ClientId, client: &mut Client, message: &Message) {
        let name = message.statement();
        match (message.kind(), name) {
            (Kind::Parse, _) => {
                let before = client.statements.sent(message);
                self.note(Naming::Parse(message.clone(), before));
            }
            (Kind::Part, _) if message.closes() => {
                let before = name.and_then(|name| client.statements.sent_close(name));
                self.note(Naming::Close(message.clone(), before));
            }
            (_, Some(name)) if !self.knows(id, name) => {
                let Some(parse) = client.statements.parse(name) else {
                    return; // the backend says that there is none
                };
                if !name.is_empty() {
                    put_close(&format!("{}{name}", client.prefix), &mut self.out);
                    self.note(Naming::TakeBack(parse.clone()));
                }
                parse.write(&client.prefix, &mut self.out);
                self.note(Naming::Tell(parse.clone()));
            }
            _ => return,
        }
        if name == Some("") && !message.closes() {
            self.unnamed = Some(id);
        }
    }

    fn note(&mut self, naming: Naming) {
        let unit = self.flight.back_mut().expect("`send` has opened one");
        unit.namings.push_back(naming);
    }

    /// Whether the client's statement is there when a further message of the unit at the end runs.
    fn knows(&self, id: ClientId, name: &str) -> bool {
        let mut is_at_the_end = true;
        for unit in self.flight.iter().rev() {
            if unit.effects.forgets_statements {
                return false;
            }
            if let Some(last) = unit.last_naming(id, name) {
                return match last {
                    Naming::Parse(..) => !name.is_empty() || self.unnamed == Some(id),
                    // If something else in its unit fails, the backend skips it.
                    Naming::Tell(_) => is_at_the_end,
                    Naming::Close(..) | Naming::TakeBack(_) => false,
                };
            }
            is_at_the_end = false;
        }
        match name {
            "" => self.unnamed == Some(id),
            _ => (self.prepared.get(&id)).is_some_and(|names| names.contains(name)),
        }
    }

    /// Whether the unit uses a statement that others have displaced, and that is not known to be there at all: the Parse
    /// of it has no answer yet.
    pub(crate) fn is_unsure_of(&self, id: ClientId, unit: &Unit) -> bool {
        let is_prepared_in = |name: &str, unit: &InFlight| {
            matches!(unit.last_naming(id, name), Some(Naming::Parse(..)))
        };
        if self.is_done_with(id) {
            return false;
        }
        unit.messages.iter().enumerate().any(|(i, message)| {
            let before = &unit.messages[..i];
            message.uses().is_some_and(|name| {
                let in_flight = self.flight.iter().any(|unit| is_prepared_in(name, unit));
                in_flight
                    && !self.knows(id, name)
                    && !before.iter().any(|own| own.prepares() == Some(name))
            })
        })
    }

    /// ParseComplete: whether the client has asked for it.
    pub(crate) fn parsed(&mut self) -> bool {
        self.confirmed(|names, name| names.insert(name.to_owned()))
    }

    /// CloseComplete: whether the client has asked for it.
    pub(crate) fn closed(&mut self) -> bool {
        self.confirmed(|names, name| names.remove(name))
    }

    fn confirmed(&mut self, change: impl FnOnce(&mut HashSet<String>, &str) -> bool) -> bool {
        let Some(unit) = self.flight.front_mut() else {
            return true;
        };
        let Some(naming) = unit.namings.pop_front() else {
            return true;
        };
        if let (&Owner::Client(id), Some(name)) = (&unit.owner, naming.message().statement())
            && !name.is_empty()
        {
            change(self.prepared.entry(id).or_default(), name);
        }
        naming.was_asked()
    }

    /// The unit in front has failed: what it was still to prepare or to take back stays as it was.
    pub(crate) fn failed(&mut self, clients: &mut BTreeMap<ClientId, Client>) {
        let Some(unit) = self.flight.front_mut() else {
            return;
        };
        unit.failed = true;
        let mut client = match unit.owner {
            Owner::Client(id) => clients.get_mut(&id),
            _ => None,
        };
        for naming in std::mem::take(&mut unit.namings).into_iter().rev() {
            if naming.message().statement() == Some("") {
                self.unnamed = None;
            }
            match (naming, client.as_mut()) {
                (Naming::Parse(parse, before), Some(client)) => {
                    client.statements.unparsed(&parse, before);
                }
                (Naming::Close(_, Some(before)), Some(client)) => {
                    client.statements.unclosed(before);
                }
                _ => {}
            }
        }
    }

    /// Takes back what was prepared for a client that is gone, behind all that it has sent.
    pub(crate) fn forget(&mut self, id: ClientId, prefix: &str) {
        if self.unnamed == Some(id) {
            self.unnamed = None;
        }
        let mut names = self.prepared.remove(&id).unwrap_or_default();
        // What is still in flight may be prepared yet: no harm in taking back what is not there.
        let flight = self.flight.iter_mut();
        for unit in flight.filter(|unit| unit.owner == Owner::Client(id)) {
            for naming in std::mem::take(&mut unit.namings) {
                names.extend(naming.message().statement().map(str::to_owned));
            }
        }
        names.remove("");
        if names.is_empty() {
            return;
        }
        self.push(Owner::Cleaning).complete = true;
        for name in names {
            put_close(&format!("{prefix}{name}"), &mut self.out);
        }
        put_empty(b'S', &mut self.out);
    }
}

impl InFlight {
    /// What it did last to the client's statement of this name.
    fn last_naming(&self, id: ClientId, name: &str) -> Option<&Naming> {
        let mut namings = self.namings.iter().rev();
        let last = namings.find(|naming| naming.is_of(name));
        last.filter(|_| self.owner == Owner::Client(id))
    }
}

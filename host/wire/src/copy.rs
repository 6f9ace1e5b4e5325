//! COPY from a client: while the backend expects data, everything else that it is sent ends it, for everybody.
//!
//! So nothing is sent behind a statement that may be a COPY before it is answered. Data that a client says before that
//! waits with its units, in order. A client that says anything else where data is due fails as it does alone.

use crate::{
    backend::Backend,
    client::Client,
    flight::{InFlight, Owner},
    ids::ClientId,
    message::{Kind, Message},
    reply::Refusal,
    unit::Unit,
};

impl Backend {
    /// Whether the backend expects data of this client.
    pub(crate) fn is_copying(&self, id: ClientId) -> bool {
        let front = self.flight.front();
        front.is_some_and(|unit| unit.owner == Owner::Client(id) && unit.expects_data())
    }

    /// Whether what the client says must wait, since the backend may take it for data of a COPY or for something else.
    pub(crate) fn is_behind_copy(&self, id: ClientId) -> bool {
        let is_known = |unit: &InFlight| unit.failed || unit.copies > 0;
        let last = self.flight.back();
        last.is_some_and(|unit| {
            unit.owner == Owner::Client(id)
                && unit.effects.copies
                && (unit.complete || !is_known(unit))
        })
    }

    /// Whether the client's unit at the end may go on, with anything but data.
    pub(crate) fn has_more_for(&self, id: ClientId) -> bool {
        self.has_open_unit_of(id) && !self.is_copying(id) && !self.is_behind_copy(id)
    }

    /// The backend expects data: it gets what the client has said of it.
    ///
    /// # Errors
    ///
    /// What the client has said instead.
    pub(crate) fn feed(&mut self, id: ClientId, client: &mut Client) -> Result<(), Refusal> {
        while self.is_copying(id)
            && let Some(mut unit) = client.pending.pop_front()
        {
            self.feed_from(id, &mut unit)?;
            if !unit.messages.is_empty() {
                client.pending.push_front(unit);
            }
        }
        if self.is_copying(id) {
            self.feed_from(id, &mut client.assembling)?;
            if client.assembling.messages.is_empty() {
                client.assembling = Unit::default();
                client.streams = false;
            }
        }
        Ok(())
    }

    /// As far as the backend takes it for data.
    fn feed_from(&mut self, id: ClientId, unit: &mut Unit) -> Result<(), Refusal> {
        let mut messages = std::mem::take(&mut unit.messages).into_iter();
        while self.is_copying(id)
            && let Some(message) = messages.next()
        {
            match message.kind() {
                Kind::Copy => self.send_data(id, &message),
                Kind::Sync | Kind::Flush => {} // PostgreSQL takes no notice of it
                _ => return Err(unexpected(&message)),
            }
        }
        unit.keep(messages.collect());
        Ok(())
    }

    /// Data of a COPY. Behind its end, PostgreSQL takes no notice of more.
    pub(crate) fn send_data(&mut self, id: ClientId, message: &Message) {
        if self.is_copying(id)
            && let Some(unit) = self.flight.front_mut()
        {
            message.write("", &mut self.out);
            unit.data_ends += u32::from(message.ends_data());
        }
    }
}

impl InFlight {
    pub(crate) fn expects_data(&self) -> bool {
        self.copies > self.data_ends
    }
}

impl Client {
    /// Drops data at the front that belongs to no COPY.
    pub(crate) fn drop_data(&mut self) {
        while let Some(unit) = self.pending.front_mut().filter(|unit| unit.is_data()) {
            unit.drop_data();
            if unit.messages.is_empty() {
                self.pending.pop_front();
            }
        }
    }

    /// Data that comes before the backend expects any.
    pub(crate) fn keep_data(&mut self, message: Message) {
        if !self.pending.back().is_some_and(Unit::is_data) {
            self.pending.push_back(Unit::default());
        }
        if let Some(last) = self.pending.back_mut() {
            last.push(message);
        }
    }
}

impl Unit {
    /// It begins with data of a COPY.
    pub(crate) fn is_data(&self) -> bool {
        let first = self.messages.first();
        first.is_some_and(|first| first.kind() == Kind::Copy)
    }

    /// Without data of no COPY, as PostgreSQL takes no notice of it.
    fn drop_data(&mut self) {
        let messages = std::mem::take(&mut self.messages).into_iter();
        self.keep(
            messages
                .skip_while(|message| message.kind() == Kind::Copy)
                .collect(),
        );
    }

    fn keep(&mut self, messages: Vec<Message>) {
        self.length = messages.iter().map(Message::len).sum();
        self.messages = messages;
    }
}

/// In PostgreSQL's words.
pub(crate) fn unexpected(message: &Message) -> Refusal {
    let tag = message.tag();
    let what = format!("unexpected message type 0x{tag:02X} during COPY from stdin");
    Refusal::new("08P01", what)
}

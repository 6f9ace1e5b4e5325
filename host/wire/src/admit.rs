//! What clients say, and whose turn it is.
//!
//! Units of statements that leave nothing behind are sent one after the other, of all clients, without a wait for
//! answers. Any other takes hold of the backend, until the backend says that no transaction is open. Turns go around.
//!
//! A unit follows a change of settings without a wait for its answer, since it cannot run if the change fails. Others
//! wait for that answer.

use std::time::Instant;

use bytes::BytesMut;

use crate::{
    backend::Backend,
    channels::{listen_again_but_for, unlisten},
    client::{Home, Stage},
    copy::unexpected,
    core::{Action, Core, HIGH_WATER},
    effects::{Effects, Listen},
    flight::Owner,
    frame::{self, Frame, Malformed},
    ids::{BackendId, ClientId},
    message::{Kind, Message},
    reply::Refusal,
};

/// More would only wait in the server instead of here, where their order can still change.
const MAX_IN_FLIGHT: usize = 64;

/// A unit longer than this is sent before it is whole.
const MAX_ASSEMBLED: usize = 256 << 10;

impl Core {
    /// All whole messages of a client, and what may be sent of them.
    ///
    /// # Errors
    ///
    /// Bytes that are not PostgreSQL's protocol.
    pub(crate) fn say_all(&mut self, id: ClientId, said: &mut BytesMut) -> Result<(), Malformed> {
        while let Some(frame) = frame::next(said)? {
            self.say(id, frame);
        }
        self.pump_client(id);
        Ok(())
    }

    /// A message of a client.
    pub(crate) fn say(&mut self, id: ClientId, frame: Frame) {
        match Message::of(frame) {
            Ok(message) => self.take(id, message),
            Err(Malformed(what)) => {
                self.refuse(
                    id,
                    &Refusal::new("08P01", format!("malformed message: {what}")),
                );
            }
        }
    }

    fn take(&mut self, id: ClientId, message: Message) {
        let backend = self.backend_of(id);
        let mut backend = backend.and_then(|backend| self.backends.get_mut(&backend));
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        match message.kind() {
            Kind::Terminate => self.leave(id),
            Kind::Copy if client.assembling.length == 0 => {
                let is_next = client.pending.is_empty();
                match backend {
                    Some(backend) if is_next && backend.is_copying(id) => {
                        backend.send_data(id, &message);
                        client.idle_since = Instant::now();
                    }
                    Some(backend) if is_next && !backend.is_behind_copy(id) => {} // of no COPY
                    _ => client.keep_data(message),
                }
            }
            // It flushes nothing, or is said where data is due.
            Kind::Flush
                if client.assembling.length == 0
                    && backend
                        .as_mut()
                        .is_none_or(|backend| !backend.has_more_for(id)) => {}
            _ if client.assembling.is_broken_by(&message) => {
                self.refuse(id, &unexpected(&message));
            }
            // If something before it fails, PostgreSQL skips it, and everybody would wait for its answer.
            Kind::Whole
                if client.assembling.length > 0
                    || backend
                        .as_mut()
                        .is_some_and(|backend| backend.has_open_unit_of(id)) =>
            {
                let what = "a simple query before the Sync of an extended one";
                self.refuse(id, &Refusal::new("08P01", what));
            }
            _ => {
                client.assembling.add(message, &mut client.statements);
                if client.assembling.complete {
                    client.streams = false;
                    client
                        .pending
                        .push_back(std::mem::take(&mut client.assembling));
                } else if client.assembling.flushed || client.assembling.length > MAX_ASSEMBLED {
                    client.streams = true;
                } else if client.pending.is_empty() {
                    return;
                }
                // The holder's turn lasts: it needs no other.
                let holder = backend.and_then(|backend| backend.holder);
                if client.home == Home::Shared && holder != Some(id) {
                    self.enqueue(id);
                }
            }
        }
    }

    /// Sends what this client may send. To be called after all that it has said at once.
    pub(crate) fn pump_client(&mut self, id: ClientId) {
        match self.clients.get(&id).map(|client| client.home) {
            Some(Home::Own(backend)) => self.pump(backend),
            _ => self.pump_shared(),
        }
    }

    /// Sends what may be sent on this backend.
    pub(crate) fn pump(&mut self, id: BackendId) {
        if self.shared == Some(id) {
            self.pump_shared();
        } else if let Some(holder) = self.backends.get(&id).and_then(|backend| backend.holder) {
            self.pump_holder(id, holder);
        }
    }

    pub(crate) fn pump_shared(&mut self) {
        let Some(id) = self.shared else {
            if !self.is_opening && (!self.queue.is_empty() || self.is_listened_to()) {
                self.is_opening = true;
                self.actions.push(Action::OpenShared);
            }
            return;
        };
        while let Some(backend) = self.backends.get(&id) {
            if let Some(holder) = backend.holder {
                self.pump_holder(id, holder);
                self.watch_hold(id);
                return;
            }
            if backend.is_full() || backend.switches > 0 || backend.flight.len() >= MAX_IN_FLIGHT {
                return;
            }
            self.do_chores(id);
            let Some(next) = self.queue.pop_front() else {
                return;
            };
            self.admit(id, next);
        }
    }

    /// One unit of the client whose turn it is.
    fn admit(&mut self, id: BackendId, next: ClientId) {
        let (Some(backend), Some(client)) =
            (self.backends.get_mut(&id), self.clients.get_mut(&next))
        else {
            return;
        };
        if client.home != Home::Shared {
            return;
        }
        if client.stage == Stage::Starting {
            self.greet(id, next);
            return;
        }
        client.drop_data();
        let Some(unit) = client.pending.front() else {
            if client.streams {
                backend.hold(next);
                backend.switch(Owner::Switch(next), &client.settings);
            }
            return; // the holder's turn is next
        };
        if let Some(left) = unit.effects.session.filter(|_| self.local != Some(next)) {
            self.give_own(next, left);
            return;
        }
        let is_unsure = backend.is_unsure_of(next, unit);
        if client.holds || is_unsure || !unit.interleaves() {
            backend.hold(next);
            backend.switch(Owner::Switch(next), &client.settings);
            return;
        }
        backend.switch(Owner::Switch(next), &client.settings);
        self.send_next_unit(id, next);
        self.requeue(next);
    }

    pub(crate) fn requeue(&mut self, id: ClientId) {
        let client = self.clients.get(&id);
        if client.is_some_and(|client| !client.pending.is_empty() || client.streams) {
            self.enqueue(id);
        }
    }

    /// All that the holder has said.
    fn pump_holder(&mut self, id: BackendId, holder: ClientId) {
        loop {
            let (Some(backend), Some(client)) =
                (self.backends.get_mut(&id), self.clients.get_mut(&holder))
            else {
                return;
            };
            if backend.is_full() || backend.is_settling() {
                return;
            }
            if backend.is_copying(holder)
                && let Err(why) = backend.feed(holder, client)
            {
                self.refuse(holder, &why);
                return;
            }
            if backend.is_copying(holder) || backend.is_behind_copy(holder) {
                return;
            }
            client.drop_data();
            let is_safe = |effects: &Effects| backend.switches == 0 || !effects.ends;
            if let Some(unit) = client.pending.front() {
                if !is_safe(&unit.effects) || backend.is_unsure_of(holder, unit) {
                    return;
                }
                self.send_next_unit(id, holder);
                continue;
            }
            if (client.streams || backend.has_open_unit_of(holder))
                && is_safe(&client.assembling.effects)
            {
                client.streams = false;
                let part = std::mem::take(&mut client.assembling.messages);
                let effects = std::mem::take(&mut client.assembling.effects);
                client.idle_since = Instant::now();
                (client.assembling.length, client.assembling.flushed) = (0, false);
                client.assembling.expects_data = false; // that is known from the answer
                for message in &part {
                    backend.send(holder, client, message);
                }
                backend.will_do(&effects);
            }
            return;
        }
    }

    /// The oldest unit of a client that may send it.
    fn send_next_unit(&mut self, id: BackendId, of: ClientId) {
        let (Some(backend), Some(client)) = (self.backends.get_mut(&id), self.clients.get_mut(&of))
        else {
            return;
        };
        let Some(unit) = client.pending.pop_front() else {
            return;
        };
        client.units += 1;
        if let Some(off) = unit.unlistens() {
            client.statements.sent_close("");
            unlisten(backend, of, off, &unit);
            return;
        }
        for message in &unit.messages {
            backend.send(of, client, message);
        }
        backend.will_do(&unit.effects);
        if unit
            .effects
            .listens
            .iter()
            .any(|change| !matches!(change, Listen::On(_)))
        {
            listen_again_but_for(backend, of);
        }
    }
}

impl Backend {
    /// Nothing more is sent for now.
    fn is_full(&self) -> bool {
        self.cancelling || self.blocked_by.is_some() || self.out.len() > HIGH_WATER
    }

    /// What the unit that was sent last will have done.
    pub(crate) fn will_do(&mut self, effects: &Effects) {
        if effects.forgets_statements {
            self.unnamed = None;
        }
        if effects.resets_settings || !effects.settings.is_empty() {
            self.applied = None;
        }
        if let Some(unit) = self.flight.back_mut() {
            unit.effects.merge(effects);
        }
    }
}

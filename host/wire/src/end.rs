//! How clients, backends and statements end, and that nothing of them stays with the others.

use std::time::Duration;

use crate::{
    backend::Backend,
    client::{Client, Home},
    core::{Action, Core},
    effects::Effects,
    flight::{Chore, Departed, Owner},
    ids::{BackendId, ClientId},
    message::{put_empty, put_texts},
    reply::Refusal,
};

/// What still runs after this time, though its client is gone, is cancelled.
pub(crate) const GRACE: Duration = Duration::from_millis(20);

/// What a session may still hold after its client has left something in it.
const FORGET: &str = "CLOSE ALL; SELECT pg_advisory_unlock_all(); DISCARD TEMP; DEALLOCATE ALL";

impl Core {
    /// The client is gone, or is to be: what it ran is undone, and what it had is taken back.
    pub(crate) fn leave(&mut self, id: ClientId) {
        self.queue.retain(|queued| *queued != id);
        let Some(client) = self.clients.remove(&id) else {
            return;
        };
        self.unblock(id);
        if self.local == Some(id) {
            return self.local_has_left();
        }
        if let Home::Own(backend) = client.home {
            self.backends.remove(&backend);
            self.actions.push(Action::Cancel(backend));
            self.actions.push(Action::Close(backend));
        }
        self.stop_listening_elsewhere(id, None, None);
        // Whatever it has now: it may have used the shared one before.
        if let Some(shared) = self.shared {
            self.leave_shared(shared, id, &client);
            self.pump_shared();
        }
    }

    /// The `Db` gives its connection up for another, perhaps to another database. Nobody knows what it has left in the
    /// session, so that nobody goes on with it.
    fn local_has_left(&mut self) {
        self.local = None;
        if let Some(shared) = self.shared {
            self.actions.push(Action::Close(shared));
            self.lose(
                shared,
                &Refusal::new(
                    "57P01",
                    "the connection that all share is replaced: connect again",
                ),
            );
        }
    }

    fn leave_shared(&mut self, shared: BackendId, id: ClientId, client: &Client) {
        let Some(backend) = self.backends.get_mut(&shared) else {
            return;
        };
        for unit in &mut backend.flight {
            unit.abandoned |= unit.owner == Owner::Client(id);
        }
        if backend.holder == Some(id) {
            backend.complete_unit_of(id);
            backend.applied = None;
            backend.departed = Some(Departed {
                status: client.status,
                may_have_left: client.after.session.is_some() || backend.may_leave(id),
            });
        }
        let prefix = client.prefix.clone();
        backend.chores.push_back(Chore::Statements(id, prefix));
        self.watch_abandoned(shared, GRACE);
        self.clean_up(shared);
    }

    /// Undoes what a holder that is gone has begun, once all that it said is answered: until then the backend may take
    /// anything else for a part of a COPY.
    pub(crate) fn clean_up(&mut self, id: BackendId) {
        let Some(backend) = self.backends.get_mut(&id) else {
            return;
        };
        if let Some(holder) = backend.holder
            && backend.is_done_with(holder)
            && let Some(departed) = backend.departed.take()
        {
            if departed.status != b'I' {
                backend.query(Owner::Cleaning, "ROLLBACK");
            }
            if departed.may_have_left {
                backend.query(Owner::Cleaning, FORGET);
                backend.will_do(&Effects {
                    forgets_statements: true,
                    ..Effects::default()
                });
            }
        }
        self.release_if_gone(id);
    }

    /// Takes back what clients that are gone had, while nobody holds the backend.
    pub(crate) fn do_chores(&mut self, id: BackendId) {
        let Some(backend) = self.backends.get_mut(&id) else {
            return;
        };
        while let Some(chore) = backend.chores.pop_front() {
            match chore {
                Chore::Statements(of, prefix) => backend.forget(of, &prefix),
                Chore::Channels(mut off) => {
                    off.retain(|channel| !backend.listening.contains_key(channel));
                    backend.say_of("UNLISTEN", &off);
                }
            }
        }
    }

    /// The backend has ended. Its clients learn it, but for those that it owes nothing.
    pub(crate) fn lose(&mut self, id: BackendId, why: &Refusal) {
        let Some(backend) = self.backends.remove(&id) else {
            return;
        };
        let was_shared = self.shared == Some(id);
        if was_shared {
            self.shared = None;
        }
        let all: Vec<ClientId> = self.clients.keys().copied().collect();
        for of in all {
            let Some(client) = self.clients.get(&of) else {
                continue;
            };
            let shares = was_shared && client.home == Home::Shared;
            let listens = !backend.channels_of(of).is_empty();
            let greets = backend
                .flight
                .iter()
                .any(|unit| unit.owner == Owner::Greeting(of));
            let is_owed =
                backend.holder == Some(of) || !backend.is_done_with(of) || self.local == Some(of);
            // Who listens must learn that it has missed something.
            if client.home == Home::Own(id) || shares && is_owed || was_shared && listens {
                self.refuse(of, why);
            } else if shares && greets {
                self.enqueue(of);
            }
        }
        self.pump_shared();
    }

    /// The shared backend could not be opened. Clients that wait for it, or would listen on it, are told why.
    pub(crate) fn not_opened(&mut self, why: &Refusal) {
        let waiting = std::mem::take(&mut self.queue);
        let listening: Vec<_> = self.listened().map(|(of, _)| of).collect();
        for id in waiting.into_iter().chain(listening) {
            self.refuse(id, why);
        }
        self.is_opening = false;
    }

    /// Ends all clients but the `Db` of this process: another database takes the place of this one.
    pub(crate) fn end_all(&mut self, why: &Refusal) {
        let all: Vec<ClientId> = self.clients.keys().copied().collect();
        let local = self.local;
        for id in all.into_iter().filter(|id| local != Some(*id)) {
            self.refuse(id, why);
        }
    }

    /// Ends those who have nothing to lose: no transaction, no answer that is due, no channel.
    pub(crate) fn end_idle(&mut self, why: &Refusal) {
        let is_idle = |client: &Client| {
            let said = !client.pending.is_empty() || client.assembling.length > 0;
            !said && !client.is_in_transaction() && client.channels.is_empty()
        };
        let all: Vec<ClientId> = self.clients.keys().copied().collect();
        for id in all {
            let backend = self.backend_of(id).and_then(|id| self.backends.get(&id));
            let is_done = backend.is_none_or(|backend| backend.is_done_with(id));
            let is_local = self.local == Some(id);
            if is_done && !is_local && self.clients.get(&id).is_some_and(is_idle) {
                self.refuse(id, why);
            }
        }
    }
}

impl Backend {
    /// Says what is missing of a unit whose client is gone, so that the backend answers it.
    pub(crate) fn complete_unit_of(&mut self, id: ClientId) {
        if self.is_copying(id)
            && let Some(unit) = self.flight.front_mut()
        {
            put_texts(b'f', &["the client is gone"], &mut self.out); // its data will not come
            unit.data_ends += 1;
        }
        let open = self
            .flight
            .iter_mut()
            .find(|unit| unit.owner == Owner::Client(id) && !unit.complete);
        if let Some(unit) = open {
            unit.complete = true;
            put_empty(b'S', &mut self.out);
        }
    }

    /// A statement of the client's that is under way may leave something in the session.
    fn may_leave(&self, id: ClientId) -> bool {
        let mut units = self
            .flight
            .iter()
            .filter(|unit| unit.owner == Owner::Client(id));
        units.any(|unit| unit.effects.session.is_some())
    }
}

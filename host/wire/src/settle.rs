//! Between two uses of a backend: what the last one has changed is looked up, and the next one may begin.
//!
//! Owns who has a session of its own. A client gets one before a statement that would leave something in the session,
//! and goes back to the shared one when nothing is left. If that happens within a transaction, the client keeps the
//! backend, and the others get a new one.

use crate::{
    backend::{Backend, LEFT},
    client::{Home, Stage},
    core::{Action, Core},
    effects::Left,
    flight::Owner,
    ids::{BackendId, ClientId},
    reply::Refusal,
    settings::Settings,
};

impl Core {
    /// The client has had an answer. If it is done with the backend, others may have it.
    pub(crate) fn settle(&mut self, id: BackendId, of: ClientId) {
        let (Some(backend), Some(client)) = (self.backends.get_mut(&id), self.clients.get_mut(&of))
        else {
            return;
        };
        let is_done =
            backend.holder == Some(of) && !client.is_in_transaction() && backend.is_done_with(of);
        if !is_done || client.holds {
            return;
        }
        let after = std::mem::take(&mut client.after);
        if self.local == Some(of) {
            // It takes back what it has changed, at the latest with `hold`.
            self.release(id);
            return;
        }
        if after.resets_settings || !after.settings.is_empty() {
            client.after.session = after.session;
            let names = client.settings.names_with(&after.settings, &client.startup);
            // A name that was not a literal is not known: the next switch resets everything.
            let all_known = !after.resets_settings;
            if names.is_empty() {
                backend.applied = all_known.then(Settings::default);
            } else {
                let question = client.startup.question(&names);
                backend.query(Owner::Settings(of, names, all_known), &question);
                return;
            }
        }
        client.left = after.session.or(client.left);
        if client.left == Some(Left::Library) && after.session.is_none() {
            return; // nothing takes that back
        }
        if after.session.is_some() || client.home == Home::Own(id) {
            backend.query(Owner::Left(of), LEFT);
            return;
        }
        self.release(id);
    }

    /// What the session says of the client's settings, if it says so, and whether they are all that may have changed.
    pub(crate) fn settings_read(
        &mut self,
        id: BackendId,
        of: ClientId,
        said: Option<(Vec<String>, Vec<Option<String>>)>,
        all_known: bool,
    ) {
        let (Some(backend), Some(client)) = (self.backends.get_mut(&id), self.clients.get_mut(&of))
        else {
            return;
        };
        backend.applied = None;
        let Some((names, values)) = said else { return };
        client.settings.read(&names, values);
        backend.applied = all_known.then(|| client.settings.clone());
        let reset = client.settings.fill_from(&client.startup);
        if client.home == Home::Own(id) && !reset.is_empty() {
            // Nobody else's turn brings a switch.
            backend.applied = Some(Settings::default());
            backend.apply(Owner::Switch(of), &reset);
        }
    }

    /// Whether the client has left something in the session.
    pub(crate) fn session_left(&mut self, id: BackendId, of: ClientId, left: bool) {
        let (Some(backend), Some(client)) = (self.backends.get_mut(&id), self.clients.get_mut(&of))
        else {
            self.release_if_gone(id);
            return;
        };
        let stays =
            left || client.left == Some(Left::Library) || !backend.channels_of(of).is_empty();
        match (client.home, stays) {
            (Home::Own(_), true) => {}
            (Home::Own(_), false) => {
                (client.home, client.left) = (Home::Shared, None);
                self.backends.remove(&id);
                self.actions.push(Action::Close(id));
                self.enqueue(of);
                self.pump_shared();
            }
            (_, true) => {
                let left = client.left.unwrap_or(Left::Turn);
                self.keep_own(id, of, left);
            }
            (_, false) => {
                client.left = None;
                self.release(id);
            }
        }
    }

    /// The client keeps the shared backend for itself, and the others get a new one.
    pub(crate) fn keep_own(&mut self, id: BackendId, of: ClientId, why: Left) {
        if let Some(client) = self.clients.get_mut(&of) {
            client.home = Home::Own(id);
            client.left = Some(why);
            // Those of others go on until a new backend has them.
            if self.shared == Some(id) {
                self.shared = None;
            }
            self.pump_shared();
        }
    }

    /// A backend for this client alone. `None`: it is not needed any more, and to be closed.
    pub(crate) fn moved(&mut self, of: ClientId, mut backend: Backend) -> Option<BackendId> {
        let id = self.next_backend();
        let client = self.clients.get_mut(&of)?;
        if client.home != Home::Moving {
            return None;
        }
        client.home = Home::Own(id);
        backend.hold(of);
        let starts = client.stage == Stage::Starting;
        if !starts {
            backend.switch(Owner::Switch(of), &client.settings);
        }
        self.backends.insert(id, backend);
        if starts {
            self.greet(id, of);
        }
        self.pump(id);
        Some(id)
    }

    /// No backend could be opened for this client alone.
    pub(crate) fn not_moved(&mut self, of: ClientId, why: &str) {
        let left = self.clients.get(&of).and_then(|client| client.left);
        let what = left.map_or("what it asks for", Left::name);
        let why = Refusal::new(
            "53300",
            format!("no second connection, which is needed because of {what}: {why}"),
        );
        self.refuse(of, &why);
    }

    /// Others may have the shared backend.
    fn release(&mut self, id: BackendId) {
        let Some(backend) = self.backends.get_mut(&id) else {
            return;
        };
        if self.shared != Some(id) {
            return;
        }
        let before = backend.holder.take();
        if let Some(before) = before {
            self.requeue(before);
        }
    }

    /// The same, once nothing of a holder that has left is under way.
    pub(crate) fn release_if_gone(&mut self, id: BackendId) {
        let Some(backend) = self.backends.get(&id) else {
            return;
        };
        if let Some(holder) = backend.holder
            && !self.clients.contains_key(&holder)
            && backend.is_done_with(holder)
            && !backend.is_settling()
        {
            self.release(id);
        }
    }

    /// The `Db` of this process wants to be alone, or no longer.
    pub(crate) fn hold(&mut self, holds: bool) {
        let Some(local) = self.local else { return };
        if let Some(client) = self.clients.get_mut(&local) {
            client.holds = holds;
        }
        if let Some(shared) = self.shared
            && !holds
        {
            // It has reset the session; what exactly it has set meanwhile is not known.
            if let Some(backend) = self.backends.get_mut(&shared)
                && backend.holder == Some(local)
            {
                backend.applied = None;
            }
            self.settle(shared, local);
            self.pump_shared();
        }
    }
}

//! How long a transaction may keep others waiting while it says nothing.
//!
//! It may wait for one of them: an app that queries its pool while it has a transaction open would wait for itself for
//! ever. So a client that waits gets a backend of its own, one after the other, for as long as it needs one.

use std::time::Duration;

use crate::{
    client::Home,
    core::{Action, Core, Timer},
    effects::Left,
    ids::{BackendId, ClientId},
};

/// A transaction that works says something more often.
const PATIENCE: Duration = Duration::from_millis(200);

/// Between two of those who wait.
const PAUSE: Duration = Duration::from_millis(50);

impl Core {
    /// To be called whenever somebody may have begun to wait.
    pub(crate) fn watch_hold(&mut self, id: BackendId) {
        let holds = self.backends.get(&id).map(|backend| (id, backend.holds));
        if !self.queue.is_empty()
            && self.watched_hold != holds
            && let Some((_, holds)) = holds
        {
            self.watched_hold = Some((id, holds));
            let timer = Timer::Held(id, holds);
            self.actions.push(Action::After(PATIENCE, timer));
        }
    }

    pub(crate) fn check_hold(&mut self, id: BackendId, holds: u64) {
        if self.watched_hold == Some((id, holds)) {
            self.watched_hold = None;
        }
        let shared = self.backends.get(&id).filter(|_| self.shared == Some(id));
        let Some(backend) = shared.filter(|backend| backend.holds == holds) else {
            return;
        };
        let (Some(holder), Some(waits)) = (backend.holder, self.queue.front().copied()) else {
            return;
        };
        let Some(client) = self.clients.get(&holder) else {
            return; // its statement is being cancelled
        };
        // It says nothing either in the middle of a COPY, or of a unit that it has flushed.
        let speaks = backend.is_copying(holder) || backend.has_open_unit_of(holder);
        let is_its_turn = backend.is_done_with(holder) || speaks && backend.flight.len() == 1;
        let silent = match is_its_turn && !backend.is_settling() {
            true => client.idle_since.elapsed(),
            false => Duration::ZERO,
        };
        let is_local = |of| self.local == Some(of);
        let rest = if silent < PATIENCE {
            PATIENCE - silent
        } else if !is_local(waits) {
            self.queue.pop_front();
            self.give_own(waits, Left::Turn);
            PAUSE
        } else if !is_local(holder) {
            // The `Db` always uses the shared one: so the holder keeps what it has, and another is opened.
            self.keep_own(id, holder, Left::Turn);
            return;
        } else {
            return; // it waits for itself, and says so
        };
        self.watched_hold = Some((id, holds));
        let timer = Timer::Held(id, holds);
        self.actions.push(Action::After(rest, timer));
    }

    /// A backend for this client alone is to be opened.
    pub(crate) fn give_own(&mut self, id: ClientId, why: Left) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.left = Some(why);
            client.home = Home::Moving;
            self.actions.push(Action::OpenOwn(id));
        }
    }
}

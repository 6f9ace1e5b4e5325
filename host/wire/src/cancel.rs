//! Cancels: of what a client asks for, and of what still runs for a client that is gone.
//!
//! A cancel reaches whatever a backend runs at that moment. So it is sent only while the unit that it is meant for is the
//! oldest in flight, and nothing is sent behind it before the server has handled it.

use std::time::Duration;

use crate::{
    core::{Action, Core, Timer},
    flight::Owner,
    ids::{BackendId, ClientId},
    reply::{Refusal, put_ready},
};

/// PostgreSQL loses a cancel that arrives while it compiles a statement (JIT). So it is sent again after this time.
const AGAIN: Duration = Duration::from_millis(100);

impl Core {
    /// A request to cancel what the client with this key runs.
    pub(crate) fn cancel(&mut self, key: (i32, i32)) {
        let found = self
            .clients
            .iter()
            .find(|(id, client)| self.local != Some(**id) && client.key == key);
        if let Some(id) = found.map(|(id, _)| *id) {
            self.cancel_of(id);
        }
    }

    pub(crate) fn cancel_of(&mut self, id: ClientId) {
        let backend_id = self.backend_of(id);
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let backend = backend_id.and_then(|id| self.backends.get_mut(&id));
        let sent = backend
            .as_ref()
            .is_some_and(|backend| !backend.is_done_with(id));
        if !sent {
            // It has not been sent: nobody else need know.
            if client.pending.pop_front().is_some() {
                let why = Refusal::new("57014", "canceling statement due to user request");
                why.put("ERROR", &mut client.out);
                put_ready(client.status, &mut client.out);
                self.written.insert(id);
            }
            return;
        }
        let (Some(backend), Some(backend_id)) = (backend, backend_id) else {
            return;
        };
        let front = backend.flight.front().map(|unit| &unit.owner);
        if front != Some(&Owner::Client(id)) {
            client.wants_cancel = true;
        } else {
            self.send_cancel(backend_id);
        }
    }

    /// Unless one is on its way.
    pub(crate) fn send_cancel(&mut self, id: BackendId) {
        if let Some(backend) = self.backends.get_mut(&id)
            && !backend.cancelling
        {
            backend.cancelling = true;
            self.actions.push(Action::Cancel(id));
        }
    }

    /// If the oldest unit in flight is of a client that is gone, it is looked at after this time.
    pub(crate) fn watch_abandoned(&mut self, id: BackendId, time: Duration) {
        let backend = self.backends.get(&id);
        let front = backend.and_then(|backend| backend.flight.front());
        if let Some(unit) = front.filter(|unit| unit.abandoned) {
            let timer = Timer::Abandoned(id, unit.number);
            self.actions.push(Action::After(time, timer));
        }
    }

    /// The server has handled the cancel: nothing that is sent from now on can be hit by it.
    pub(crate) fn cancelled(&mut self, id: BackendId) {
        if let Some(backend) = self.backends.get_mut(&id) {
            backend.cancelling = false;
            self.watch_abandoned(id, AGAIN);
            self.pump(id);
        }
    }

    /// The time of an [`Action::After`] has come.
    pub(crate) fn after(&mut self, timer: Timer) {
        match timer {
            Timer::Abandoned(id, number) => {
                let backend = self.backends.get(&id);
                let front = backend.and_then(|backend| backend.flight.front());
                if front.is_some_and(|unit| unit.number == number) {
                    self.send_cancel(id);
                }
            }
            Timer::Held(id, holds) => self.check_hold(id, holds),
        }
    }
}

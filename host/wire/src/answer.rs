//! What a backend answers, and whose answer it is.
//!
//! Answers come in the order of the units, so the unit in front gets all of them up to its ReadyForQuery. The exceptions
//! are those that answer nothing: notifications, notices, changed parameters.

use std::time::Instant;

use bytes::BytesMut;

use crate::{
    client::Client,
    core::{Core, HIGH_WATER},
    end::GRACE,
    flight::{InFlight, Owner},
    frame::{self, Frame, Malformed},
    ids::{BackendId, ClientId},
    reply::{self, Refusal},
};

impl Core {
    /// All whole messages of the backend.
    ///
    /// # Errors
    ///
    /// As [`hear`](Self::hear).
    pub(crate) fn hear_all(&mut self, id: BackendId, said: &mut BytesMut) -> Result<(), Malformed> {
        while let Some(frame) = frame::next(said)? {
            self.hear(id, &frame)?;
        }
        Ok(())
    }

    /// A message of the backend.
    ///
    /// # Errors
    ///
    /// Bytes that are not PostgreSQL's protocol: the connection is useless.
    pub(crate) fn hear(&mut self, id: BackendId, frame: &Frame) -> Result<(), Malformed> {
        let Some(backend) = self.backends.get_mut(&id) else {
            return Ok(());
        };
        let mut front = backend.flight.front_mut();
        if let Some(executed) = front.as_mut().and_then(|unit| unit.running.answered(frame)) {
            self.executed.push(executed);
        }
        let mut to = match front.as_ref().map(|unit| &unit.owner) {
            Some(&Owner::Client(client)) => Some(client),
            _ => None,
        };
        match frame.tag() {
            b'A' => {
                let channel = reply::channel(frame)?;
                let listeners = backend.listening.get(&*channel).cloned();
                for client in listeners.unwrap_or_default() {
                    self.notify(client, frame);
                }
                return Ok(());
            }
            b'S' => {
                let (name, value) = reply::parameter(frame)?;
                if front.is_none() {
                    backend.parameters.insert(name.clone(), value.clone());
                }
                backend.reported.insert(name, value);
            }
            b'Z' => {
                let status = frame.body().first().copied().unwrap_or(b'I');
                let Some(unit) = backend.flight.pop_front() else {
                    return Err(Malformed("ReadyForQuery for no query".to_owned()));
                };
                if unit.effects.forgets_statements && !unit.failed {
                    backend.prepared.clear();
                }
                self.ready(id, unit, status, frame);
                return Ok(());
            }
            b'1' => {
                let was_asked = backend.parsed();
                to = to.filter(|_| was_asked); // or the exchange has told the backend again
            }
            b'3' => {
                let was_asked = backend.closed();
                to = to.filter(|_| was_asked);
            }
            b'E' => {
                backend.failed(&mut self.clients);
                if to.is_none()
                    && let Some(unit) = backend.flight.front_mut()
                {
                    let (code, message) = reply::error(frame);
                    unit.row = vec![Some(code), Some(message)];
                }
            }
            b'G' => {
                if let Some(unit) = front {
                    unit.copies += 1;
                    // The Sync that follows an Execute is read as part of the COPY, and means nothing there.
                    unit.complete &= !(unit.extended && unit.expects_data());
                    if unit.abandoned
                        && let Some(client) = to
                    {
                        backend.complete_unit_of(client);
                    }
                }
            }
            b'D' if to.is_none() => {
                if let Some(unit) = front {
                    unit.row = reply::columns(frame)?;
                }
            }
            _ => {}
        }
        if let Some(client) = to {
            self.tell(client, frame.bytes());
            self.slow_down_for(id, client);
        }
        if matches!(frame.tag(), b'G' | b'E') {
            self.pump(id); // what comes behind a COPY has waited for this
        }
        Ok(())
    }

    /// A client that does not read its answers stops the backend at some point, and so everybody.
    fn slow_down_for(&mut self, id: BackendId, client: ClientId) {
        let is_full = |of: &Client| of.out.len() > HIGH_WATER;
        if self.clients.get(&client).is_some_and(is_full)
            && let Some(backend) = self.backends.get_mut(&id)
        {
            backend.blocked_by = Some(client);
        }
    }

    /// All of a unit has been answered.
    fn ready(&mut self, id: BackendId, unit: InFlight, status: u8, frame: &Frame) {
        let is_switch = matches!(unit.owner, Owner::Switch(_) | Owner::Greeting(_));
        if let Some(backend) = self.backends.get_mut(&id).filter(|_| is_switch) {
            backend.switches -= 1;
        }
        match unit.owner {
            Owner::Client(client) => {
                self.tell(client, frame.bytes());
                self.client_is_ready(id, client, &unit, status);
            }
            Owner::Switch(client) | Owner::Greeting(client) if unit.failed => {
                self.not_switched(id, client, status);
                self.refuse(client, &refusal_of(&unit));
            }
            Owner::Switch(_) => {}
            Owner::Greeting(client) => {
                let reported = self
                    .backends
                    .get(&id)
                    .map(|backend| backend.reported.clone());
                self.welcome(client, &reported.unwrap_or_default());
            }
            Owner::Settings(of, names, all_known) => {
                let row = (!unit.failed).then_some(unit.row);
                self.settings_read(id, of, row.map(|row| (names, row)), all_known);
                self.settle(id, of);
                self.release_if_gone(id);
            }
            Owner::Left(client) => {
                let left = unit.failed || unit.row.first() == Some(&Some("t".to_owned()));
                self.session_left(id, client, left);
            }
            Owner::Cleaning => self.release_if_gone(id),
            Owner::Listening => self.listens_again(),
        }
        self.cancel_in_front(id);
        self.pump(id);
    }

    /// The session has kept the settings that it had, and what was sent behind the switch fails with its transaction,
    /// which is open still.
    fn not_switched(&mut self, id: BackendId, of: ClientId, status: u8) {
        let Some(backend) = self.backends.get_mut(&id) else {
            return;
        };
        backend.applied = None;
        let holds = backend.holder == Some(of);
        let client = self.clients.get_mut(&of).filter(|_| holds);
        match (client, &mut backend.departed) {
            (Some(client), _) => client.status = status, // it is about to leave
            (None, Some(departed)) if holds => departed.status = status,
            _ if status != b'I' => backend.query(Owner::Cleaning, "ROLLBACK"),
            _ => {}
        }
    }

    fn client_is_ready(&mut self, id: BackendId, of: ClientId, unit: &InFlight, status: u8) {
        let Some(client) = self.clients.get_mut(&of) else {
            let departed = self
                .backends
                .get_mut(&id)
                .and_then(|backend| backend.departed.as_mut());
            if let Some(departed) = departed {
                departed.status = status;
            }
            self.clean_up(id);
            return;
        };
        client.status = status;
        client.wants_cancel = false;
        client.idle_since = Instant::now();
        client.after.merge(&unit.effects);
        if !unit.failed {
            if unit.effects.forgets_statements {
                client.statements.clear();
            }
            for change in &unit.effects.listens {
                self.listens(id, of, change);
            }
        }
        self.settle(id, of);
    }

    /// A unit whose turn has come is cancelled if its client is gone, or has asked for that meanwhile.
    fn cancel_in_front(&mut self, id: BackendId) {
        self.watch_abandoned(id, GRACE);
        let backend = self.backends.get(&id);
        let front = backend.and_then(|backend| backend.flight.front());
        if let Some(Owner::Client(front)) = front.map(|unit| &unit.owner)
            && let Some(client) = self.clients.get(front)
            && client.wants_cancel
        {
            self.send_cancel(id);
        }
    }
}

/// What PostgreSQL said of a unit of the exchange itself.
fn refusal_of(unit: &InFlight) -> Refusal {
    let said = |i: usize| unit.row.get(i).cloned().flatten().unwrap_or_default();
    let what = format!(
        "the settings of this session cannot be applied: {} (SQLSTATE {})",
        said(1),
        said(0)
    );
    Refusal::new("22023", what)
}

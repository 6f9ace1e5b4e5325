//! A session of PostgreSQL: what has been sent to it and not been answered, and what it knows.
//!
//! Who may use it is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use bytes::{Bytes, BytesMut};

use crate::{
    flight::{Chore, Departed, InFlight, Owner},
    ids::ClientId,
    message::put_texts,
    settings::Settings,
};

pub(crate) struct Backend {
    /// What it said of itself when it was opened.
    pub(crate) parameters: HashMap<String, String>,
    /// The same, as of the last unit.
    pub(crate) reported: HashMap<String, String>,
    /// To be written to its socket.
    pub(crate) out: BytesMut,
    /// Units that were sent and not answered, oldest first.
    pub(crate) flight: VecDeque<InFlight>,
    /// Only its units are sent.
    pub(crate) holder: Option<ClientId>,
    /// Changes with each holder.
    pub(crate) holds: u64,
    /// The settings that its session has once all that was sent has run. `None`: unknown.
    pub(crate) applied: Option<Settings>,
    /// The statements that it has answered for, by client, under the client's names.
    pub(crate) prepared: BTreeMap<ClientId, HashSet<String>>,
    /// Who has parsed the unnamed statement last.
    pub(crate) unnamed: Option<ClientId>,
    /// Who listens, by channel.
    pub(crate) listening: HashMap<String, BTreeSet<ClientId>>,
    /// Its holder is gone, and was not done.
    pub(crate) departed: Option<Departed>,
    /// To be done behind clients that are gone or elsewhere, once nobody holds the backend.
    pub(crate) chores: VecDeque<Chore>,
    /// A cancel is on its way: nothing else is sent until it has arrived.
    pub(crate) cancelling: bool,
    /// Its answers are not read until this client has read its own.
    pub(crate) blocked_by: Option<ClientId>,
    /// Serial number of the unit sent last.
    pub(crate) sent: u64,
    /// Changes of settings that have no answer yet.
    pub(crate) switches: usize,
}

impl Backend {
    pub(crate) fn new(parameters: HashMap<String, String>) -> Self {
        Self {
            reported: parameters.clone(),
            parameters,
            out: BytesMut::new(),
            flight: VecDeque::new(),
            holder: None,
            holds: 0,
            applied: Some(Settings::default()),
            prepared: BTreeMap::new(),
            unnamed: None,
            listening: HashMap::new(),
            departed: None,
            chores: VecDeque::new(),
            cancelling: false,
            blocked_by: None,
            sent: 0,
            switches: 0,
        }
    }

    pub(crate) fn hold(&mut self, client: ClientId) {
        self.holder = Some(client);
        self.holds += 1;
    }

    /// The client's unit at the end is not complete.
    pub(crate) fn has_open_unit_of(&self, id: ClientId) -> bool {
        let last = self.flight.back();
        last.is_some_and(|unit| unit.owner == Owner::Client(id) && !unit.complete)
    }

    /// Opens a unit; its messages follow.
    pub(crate) fn push(&mut self, owner: Owner) -> &mut InFlight {
        self.sent += 1;
        self.flight.push_back(InFlight::new(owner, self.sent));
        self.flight.back_mut().expect("pushed above")
    }

    /// Brings the session to these settings, if it has others.
    pub(crate) fn switch(&mut self, owner: Owner, to: &Settings) {
        if self.applied.as_ref() != Some(to) {
            self.apply(owner, to);
        }
    }

    /// The same in any case, so that there is an answer.
    pub(crate) fn apply(&mut self, owner: Owner, to: &Settings) {
        let sql = to.switch_from(self.applied.as_ref());
        self.query(owner, &sql);
        self.applied = Some(to.clone());
        self.switches += 1;
    }

    /// Sends a simple query of the exchange itself.
    pub(crate) fn query(&mut self, owner: Owner, sql: &str) {
        self.push(owner).complete = true;
        self.unnamed = None;
        put_texts(b'Q', &[sql], &mut self.out);
    }

    /// Whether all that the client has sent is answered.
    pub(crate) fn is_done_with(&self, id: ClientId) -> bool {
        !self
            .flight
            .iter()
            .any(|unit| unit.owner == Owner::Client(id))
    }

    /// Whether the exchange itself waits for answers on a client's behalf.
    pub(crate) fn is_settling(&self) -> bool {
        self.flight.iter().any(|unit| {
            matches!(
                unit.owner,
                Owner::Settings(..) | Owner::Left(_) | Owner::Cleaning
            )
        })
    }
}

/// What is left in the session, but for libraries.
pub(crate) const LEFT: &str = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
    OR EXISTS (SELECT FROM pg_class WHERE relnamespace = pg_my_temp_schema())
    OR EXISTS (SELECT FROM pg_cursors WHERE is_holdable) OR EXISTS (SELECT FROM pg_prepared_statements WHERE from_sql)";

/// The parameters in what the server says at its start.
pub(crate) fn parameters(greeting: &Bytes) -> HashMap<String, String> {
    let mut bytes = BytesMut::from(&greeting[..]);
    let mut found = HashMap::new();
    while let Ok(Some(frame)) = crate::frame::next(&mut bytes) {
        if frame.tag() == b'S'
            && let Ok((name, value)) = crate::reply::parameter(&frame)
        {
            found.insert(name, value);
        }
    }
    found
}

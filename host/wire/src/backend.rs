//! A session of PostgreSQL: what has been sent to it and not been answered, and what it knows.
//!
//! Owns the renaming of statements, and telling the backend again of those that it does not know. Who may use it is
//! decided elsewhere.

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::{Bytes, BytesMut};

use crate::{
    client::{Client, ClientId},
    flight::{Asked, Chore, Departed, InFlight, Owner},
    message::{Kind, Message, put_close, put_empty, put_texts},
    settings::Settings,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BackendId(pub(crate) u32);

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
    /// The statements that it knows, by client and the client's name.
    known: HashSet<(ClientId, String)>,
    /// Who has parsed the unnamed statement last.
    unnamed: Option<ClientId>,
    /// Who listens, by channel.
    pub(crate) listening: HashMap<String, HashSet<ClientId>>,
    /// Its holder is gone, and was not done.
    pub(crate) departed: Option<Departed>,
    /// To be done for clients that are gone, once nobody holds the backend.
    pub(crate) chores: VecDeque<Chore>,
    /// A cancel is on its way: nothing else is sent until it has arrived.
    pub(crate) cancelling: bool,
    /// Its answers are not read until this client has read its own.
    pub(crate) blocked_by: Option<ClientId>,
    /// Serial number of the unit sent last.
    pub(crate) sent: u64,
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
            known: HashSet::new(),
            unnamed: None,
            listening: HashMap::new(),
            departed: None,
            chores: VecDeque::new(),
            cancelling: false,
            blocked_by: None,
            sent: 0,
        }
    }

    pub(crate) fn hold(&mut self, client: ClientId) {
        self.holder = Some(client);
        self.holds += 1;
    }

    /// Sends a message of `client`. The first of a unit opens it.
    pub(crate) fn send(&mut self, id: ClientId, client: &Client, message: &Message) {
        if !self.has_open_unit_of(id) {
            self.push(Owner::Client(id));
        }
        let name = message.statement();
        if let Some(name) = name {
            self.make_known(id, client, message, name);
        }
        let is_anothers = name == Some("") && self.unnamed != Some(id);
        let unit = self.flight.back_mut().expect("opened above");
        match message.kind() {
            Kind::Whole => {
                unit.complete = true;
                self.unnamed = None; // PostgreSQL drops it
            }
            Kind::Sync => (unit.complete, unit.extended) = (true, true),
            _ => unit.extended = true,
        }
        if is_anothers {
            message.write_renamed(&client.prefix, &mut self.out); // which does not exist
        } else {
            message.write(&client.prefix, &mut self.out);
        }
    }

    fn make_known(&mut self, id: ClientId, client: &Client, message: &Message, name: &str) {
        let unit = self.flight.back_mut().expect("the caller has opened one");
        let key = (id, name.to_owned());
        let knows = match name {
            "" => self.unnamed == Some(id),
            _ => self.known.contains(&key),
        };
        match message.kind() {
            Kind::Parse => unit
                .parses
                .push_back((key.1.clone(), Asked::ByTheClient, !knows)),
            Kind::Part if message.closes() => {
                if self.known.remove(&key) {
                    unit.closes.push(key.1);
                }
                return;
            }
            _ if knows => return,
            _ => {
                // It was told to another backend, or forgotten there.
                let Some(parse) = client.statements.parse(name) else {
                    return;
                };
                parse.write(&client.prefix, &mut self.out);
                unit.parses.push_back((key.1.clone(), Asked::ByUs, true));
            }
        }
        match name {
            "" => self.unnamed = Some(id),
            _ => drop(self.known.insert(key)),
        }
    }

    /// The client's unit at the end is not complete.
    pub(crate) fn has_open_unit_of(&self, id: ClientId) -> bool {
        let last = self.flight.back();
        last.is_some_and(|unit| unit.owner == Owner::Client(id) && !unit.complete)
    }

    /// Opens a unit; its messages follow.
    fn push(&mut self, owner: Owner) -> &mut InFlight {
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
    }

    /// Sends a simple query of the exchange itself.
    pub(crate) fn query(&mut self, owner: Owner, sql: &str) {
        self.push(owner).complete = true;
        self.unnamed = None;
        put_texts(b'Q', &[sql], &mut self.out);
    }

    /// Takes back what was prepared for a client that is gone, behind all that it has sent.
    pub(crate) fn forget(&mut self, id: ClientId, prefix: &str) {
        if self.unnamed == Some(id) {
            self.unnamed = None;
        }
        let names = self.known.extract_if(|(of, _)| *of == id);
        let names: Vec<String> = names.map(|(_, name)| format!("{prefix}{name}")).collect();
        if names.is_empty() {
            return;
        }
        self.push(Owner::Cleaning).complete = true;
        for name in names {
            put_close(&name, &mut self.out);
        }
        put_empty(b'S', &mut self.out);
    }

    /// All prepared statements are gone once what was sent has run.
    pub(crate) fn forget_all(&mut self) {
        self.known.clear();
        self.unnamed = None;
    }

    /// The unit in front has failed: what it was still to parse is not known. Returns what the client itself tried.
    pub(crate) fn failed(&mut self) -> Vec<String> {
        let Some(unit) = self.flight.front_mut() else {
            return Vec::new();
        };
        unit.failed = true;
        let unparsed = std::mem::take(&mut unit.parses);
        let Owner::Client(id) = unit.owner else {
            return Vec::new();
        };
        let closes = std::mem::take(&mut unit.closes);
        self.known.extend(closes.into_iter().map(|name| (id, name)));
        let mut own = Vec::new();
        for (name, asked, is_new) in unparsed {
            if name.is_empty() {
                self.unnamed = None;
            }
            let key = (id, name);
            if is_new {
                self.known.remove(&key);
            }
            if asked == Asked::ByTheClient {
                own.push(key.1);
            }
        }
        own
    }

    /// Whether the client's COPY is under way.
    pub(crate) fn is_copying(&self, id: ClientId) -> bool {
        let front = self.flight.front();
        front.is_some_and(|unit| unit.copies && unit.owner == Owner::Client(id))
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

//! A client: what it has asked for and not been sent, and what its session is made of.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Instant,
};

use bytes::BytesMut;

use crate::{
    effects::{Effects, Left},
    ids::{BackendId, ClientId},
    settings::Settings,
    statements::Statements,
    unit::Unit,
};

pub(crate) struct Client {
    /// What it calls itself.
    pub(crate) name: String,
    /// Put before the names of its statements on a backend.
    pub(crate) prefix: String,
    /// What a request to cancel must name.
    pub(crate) key: (i32, i32),
    pub(crate) stage: Stage,
    /// The `Db` wants no other between its units, transaction or not.
    pub(crate) holds: bool,
    /// To be written to its socket.
    pub(crate) out: BytesMut,
    /// Said, and not yet a whole unit.
    pub(crate) assembling: Unit,
    /// Whole units that were not sent.
    pub(crate) pending: VecDeque<Unit>,
    /// It stands in the queue without a whole unit, to say the rest while it has the backend.
    pub(crate) streams: bool,
    pub(crate) statements: Statements,
    pub(crate) settings: Settings,
    /// Those that it has asked for at its start. What it resets has these values again.
    pub(crate) startup: Settings,
    pub(crate) channels: BTreeSet<String>,
    /// The length of the notifications in `out`.
    pub(crate) unread: usize,
    pub(crate) home: Home,
    /// The transaction status that the backend has reported last.
    pub(crate) status: u8,
    /// What its units have done since it was last looked up.
    pub(crate) after: Effects,
    /// Why it has a session of its own.
    pub(crate) left: Option<Left>,
    /// It has asked for a cancel of a unit whose turn has not come.
    pub(crate) wants_cancel: bool,
    /// Since when the backend waits for it.
    pub(crate) idle_since: Instant,
    /// Whether it is reported what becomes of its statements.
    pub(crate) is_traced: bool,
    /// Statements that it has sent.
    pub(crate) units: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It has not been told that it may ask.
    Starting,
    Ready,
}

/// Whose backend it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    Shared,
    /// A session of its own is being opened.
    Moving,
    Own(BackendId),
}

impl Client {
    pub(crate) fn new(id: ClientId, name: String, secret: i32) -> Self {
        Self {
            name,
            prefix: format!("c{}_", id.0),
            key: (i32::try_from(id.0).unwrap_or(i32::MAX), secret),
            stage: Stage::Starting,
            holds: false,
            out: BytesMut::new(),
            assembling: Unit::default(),
            pending: VecDeque::new(),
            streams: false,
            statements: Statements::default(),
            settings: Settings::default(),
            startup: Settings::default(),
            channels: BTreeSet::new(),
            unread: 0,
            home: Home::Shared,
            status: b'I',
            after: Effects::default(),
            left: None,
            wants_cancel: false,
            idle_since: Instant::now(),
            is_traced: false,
            units: 0,
        }
    }

    /// Bytes that wait for their turn.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.assembling.length + self.pending.iter().map(|unit| unit.length).sum::<usize>()
    }

    pub(crate) fn is_in_transaction(&self) -> bool {
        self.status != b'I'
    }
}

//! Units that were sent to a backend, until ReadyForQuery answers them.

use std::collections::VecDeque;

use crate::{effects::Effects, ids::ClientId, naming::Naming, running::Running};

/// What is known of a holder that is gone.
pub(crate) struct Departed {
    /// The transaction status after its last unit.
    pub(crate) status: u8,
    /// Something of it may be left in the session.
    pub(crate) may_have_left: bool,
}

/// What is to be taken back on the backend.
pub(crate) enum Chore {
    /// The statements of a client that is gone, which have this prefix.
    Statements(ClientId, String),
    /// Channels, unless a client listens to them again.
    Channels(Vec<String>),
}

/// A unit that was sent.
pub(crate) struct InFlight {
    pub(crate) owner: Owner,
    pub(crate) number: u64,
    /// Everything was sent that ReadyForQuery answers.
    pub(crate) complete: bool,
    /// It ends with a Sync of its own.
    pub(crate) extended: bool,
    /// Answers are due for these, in order.
    pub(crate) namings: VecDeque<Naming>,
    pub(crate) effects: Effects,
    /// How often the backend has said that it expects data of a COPY, and how often it was sent the end of that.
    pub(crate) copies: u32,
    pub(crate) data_ends: u32,
    /// Its client is gone.
    pub(crate) abandoned: bool,
    /// The backend has reported an error in it.
    pub(crate) failed: bool,
    /// The columns of the last row, if the exchange itself has asked.
    pub(crate) row: Vec<Option<String>>,
    /// What it executes, if that is reported.
    pub(crate) running: Running,
}

/// Who gets the answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Client(ClientId),
    /// Brings the session to the client's settings.
    Switch(ClientId),
    /// The same, for a client that is to be told its parameters.
    Greeting(ClientId),
    /// Reads these settings again; whether they are all that may have changed.
    Settings(ClientId, Vec<String>, bool),
    /// Asks whether the client has left something in the session.
    Left(ClientId),
    /// Cleans up behind a client that is gone.
    Cleaning,
    /// Says again what clients listen to.
    Listening,
}

impl InFlight {
    /// A unit whose messages follow.
    pub(crate) fn new(owner: Owner, number: u64) -> Self {
        Self {
            owner,
            number,
            complete: false,
            extended: false,
            namings: VecDeque::new(),
            effects: Effects::default(),
            copies: 0,
            data_ends: 0,
            abandoned: false,
            failed: false,
            row: Vec::new(),
            running: Running::default(),
        }
    }
}

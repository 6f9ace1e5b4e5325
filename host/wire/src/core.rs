//! The exchange's state: clients, backends, and who waits for what. Pure: bytes come in, bytes and [`Action`]s go out.
//!
//! Owns the state as one value. Its transitions are in the modules beside it: what clients say (`greet`, `admit`), what
//! backends answer (`answer`, `channels`), what happens between two uses of a backend (`settle`, `patience`), and how
//! clients, backends and statements end (`end`, `cancel`). Knows neither sockets nor tasks.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use bytes::BytesMut;

use crate::{
    backend::Backend,
    client::{Client, Home, Stage},
    ids::{BackendId, ClientId},
    reply::Refusal,
    running::Executed,
};

/// Bytes that wait for a socket. Above this, nothing more is read for it.
pub(crate) const HIGH_WATER: usize = 1 << 20;

/// What is to be done about a change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Open the backend that all share.
    OpenShared,
    /// Open a backend for this client alone.
    OpenOwn(ClientId),
    /// End a backend that nobody uses any more.
    Close(BackendId),
    /// Ask the server to cancel what the backend runs, and report once it has handled that.
    Cancel(BackendId),
    /// Come back after this time.
    After(Duration, Timer),
}

/// What to look at later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// Whether the unit with this number still runs: its client is gone.
    Abandoned(BackendId, u64),
    /// Whether this hold still keeps others waiting, in vain.
    Held(BackendId, u64),
}

#[derive(Default)]
pub(crate) struct Core {
    pub(crate) clients: BTreeMap<ClientId, Client>,
    pub(crate) backends: BTreeMap<BackendId, Backend>,
    pub(crate) shared: Option<BackendId>,
    /// The shared one has been asked for.
    pub(crate) is_opening: bool,
    /// Clients that want the shared backend, in the order of their turn. Each stands here once.
    pub(crate) queue: VecDeque<ClientId>,
    /// The `Db` of this process.
    pub(crate) local: Option<ClientId>,
    /// The hold whose limit is being watched.
    pub(crate) watched_hold: Option<(BackendId, u64)>,
    clients_so_far: u32,
    backends_so_far: u32,
    pub(crate) actions: Vec<Action>,
    /// Clients that have something new to be written.
    pub(crate) written: BTreeSet<ClientId>,
    /// Backends whose answers are read again.
    pub(crate) unblocked: Vec<BackendId>,
    /// What clients are still to be told that are gone.
    pub(crate) last_words: BTreeMap<ClientId, BytesMut>,
    /// Whether executed statements are reported.
    pub(crate) traces: bool,
    /// What has become of them, until it is reported.
    pub(crate) executed: Vec<Executed>,
}

impl Core {
    pub(crate) fn new(traces: bool) -> Self {
        Self {
            traces,
            ..Self::default()
        }
    }

    /// A client that is to be told its parameters. `startup` are the settings that it has asked for.
    pub(crate) fn join(
        &mut self,
        name: String,
        secret: i32,
        startup: Vec<(String, String)>,
    ) -> ClientId {
        let id = self.next_client();
        let mut client = Client::new(id, name, secret);
        client.is_traced = self.traces;
        for (name, value) in startup {
            client.settings.set(&name, value);
        }
        self.clients.insert(id, client);
        self.enqueue(id);
        self.pump_shared();
        id
    }

    /// The backend that all share, and with it the `Db` of this process, unless the exchange has opened it itself.
    ///
    /// `None`: another has come since it was asked for.
    pub(crate) fn attach(
        &mut self,
        backend: Backend,
        with_local: bool,
    ) -> Option<(BackendId, ClientId)> {
        if !with_local && self.shared.is_some() {
            return None;
        }
        let (id, mut backend) = (self.next_backend(), backend);
        let mut local = self.local.unwrap_or(ClientId(0));
        if with_local {
            local = self.next_client();
            let mut client = Client::new(local, "state.db".to_owned(), 0);
            client.is_traced = self.traces;
            client.stage = Stage::Ready; // tokio-postgres has seen the startup itself
            self.clients.insert(local, client);
            self.local = Some(local);
            // Its first words come before those of clients that wait: until they are answered, it is being opened.
            backend.hold(local);
        }
        self.backends.insert(id, backend);
        self.shared = Some(id);
        self.is_opening = false;
        self.listen_again(id);
        self.pump_shared();
        Some((id, local))
    }

    fn next_client(&mut self) -> ClientId {
        self.clients_so_far += 1;
        ClientId(self.clients_so_far)
    }

    pub(crate) fn next_backend(&mut self) -> BackendId {
        self.backends_so_far += 1;
        BackendId(self.backends_so_far)
    }

    /// The backend that the client uses now.
    pub(crate) fn backend_of(&self, id: ClientId) -> Option<BackendId> {
        match self.clients.get(&id)?.home {
            Home::Shared => self.shared,
            Home::Moving => None,
            Home::Own(backend) => Some(backend),
        }
    }

    pub(crate) fn enqueue(&mut self, id: ClientId) {
        if !self.queue.contains(&id) {
            self.queue.push_back(id);
        }
    }

    /// Adds to what a client is sent, if it is still there.
    pub(crate) fn tell(&mut self, id: ClientId, bytes: &[u8]) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.out.extend_from_slice(bytes);
            self.written.insert(id);
        }
    }

    /// Ends a client, and tells it why.
    pub(crate) fn refuse(&mut self, id: ClientId, why: &Refusal) {
        if let Some(client) = self.clients.get_mut(&id) {
            let mut out = std::mem::take(&mut client.out);
            why.put("FATAL", &mut out);
            self.last_words.insert(id, out);
            self.written.insert(id);
            self.leave(id);
        }
    }

    /// The client has read its answers, or never will.
    pub(crate) fn unblock(&mut self, id: ClientId) {
        for (of, backend) in &mut self.backends {
            if backend.blocked_by == Some(id) {
                backend.blocked_by = None;
                self.unblocked.push(*of);
            }
        }
    }

    /// Bytes for this client's socket.
    pub(crate) fn out_of(&mut self, id: ClientId) -> Option<&mut BytesMut> {
        match self.clients.get_mut(&id) {
            Some(client) => Some(&mut client.out),
            None => self.last_words.get_mut(&id),
        }
    }
}

//! The exchange: its state behind one lock, the sockets that its bytes go to, and the tasks that wait.
//!
//! Bytes are written where they arise, by the holder of the lock, as far as a socket takes them. So a statement passes
//! through two tasks only: that of its client and that of its backend.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use shared_db::Established;
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    core::Core,
    identity::Identity,
    ids::{BackendId, ClientId},
    ports::{Line, Port, Sink, State},
    reply::Refusal,
    running::Executed,
};

/// Opens backends for the exchange.
pub trait Open: Send + Sync + 'static {
    /// Makes the `Db` open its connection, which it then hands to the exchange as its [`Relay`](shared_db::Relay).
    fn open_shared(&self) -> BoxFuture<'_, Result<(), String>>;

    /// Opens another connection to the same database.
    fn open_own(&self) -> BoxFuture<'_, Result<Established, String>>;
}

/// What an [`Exchange`] is made of.
pub struct Config {
    /// How its backends are opened.
    pub open: Box<dyn Open>,
    /// The runtime on which its tasks run.
    pub runtime: Handle,
    /// The user and the database that clients must name.
    pub identity: Identity,
    /// Called for each statement of a client once it is answered, before the client gets the answer. Must not block.
    pub executed: Option<Report>,
}

/// See [`Config::executed`].
pub type Report = Box<dyn Fn(&Executed) + Send + Sync>;

/// Shares backends. Clones are the same exchange.
#[derive(Clone)]
pub struct Exchange(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    state: Mutex<State>,
    pub(crate) open: Box<dyn Open>,
    runtime: Handle,
    executed: Option<Report>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) me: Weak<Self>,
}

impl Exchange {
    /// An exchange without backends and clients.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self(Arc::new_cyclic(|me| Inner {
            state: Mutex::new(State {
                core: Core::new(config.executed.is_some()),
                identity: config.identity,
                clients: BTreeMap::new(),
                lines: BTreeMap::new(),
            }),
            open: config.open,
            runtime: config.runtime,
            executed: config.executed,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            me: me.clone(),
        }))
    }

    /// Ends all clients, since another database takes the place of this one.
    pub fn replace(&self, identity: Identity) {
        let why = Refusal::new(
            "57P01",
            "the database of this project has changed: connect again",
        );
        self.0.with_state(|state| {
            state.identity = identity;
            state.core.end_all(&why);
        });
    }

    /// The tables have changed. Ends clients that are idle, so that their pools open connections whose statements are
    /// prepared for the tables as they are now.
    pub fn refresh(&self) {
        let why = Refusal::new("57P01", "the tables have changed: connect again");
        self.0.with(|core| core.end_idle(&why));
    }

    /// Ends all clients and backends, and waits until their tasks have ended.
    pub async fn close(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        let mut state = self.0.lock();
        state.clients.clear();
        state.lines.clear();
    }
}

impl Inner {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, writes what that has produced, and starts what is to be done.
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut Core) -> R) -> R {
        self.with_state(|state| change(&mut state.core))
    }

    /// The same with the sockets.
    pub(crate) fn with_state<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        let executed = std::mem::take(&mut state.core.executed);
        if let Some(report) = &self.executed {
            executed.iter().for_each(report);
        }
        state.write_out();
        let actions = std::mem::take(&mut state.core.actions);
        for action in &actions {
            self.perform(*action, &mut state);
        }
        result
    }

    pub(crate) fn identity(&self) -> Identity {
        self.lock().identity.clone()
    }

    /// Adds a client together with its socket, so that nothing is said to it before it has one.
    pub(crate) fn join(&self, change: impl FnOnce(&mut Core) -> ClientId, sink: Sink) -> ClientId {
        self.with_state(|state| {
            let id = change(&mut state.core);
            let port = Port {
                sink,
                is_blocked: false,
                is_paused: false,
            };
            state.clients.insert(id, port);
            state.core.written.insert(id);
            id
        })
    }

    pub(crate) fn add_line(
        &self,
        change: impl FnOnce(&mut Core) -> Option<BackendId>,
        line: Line,
    ) -> Option<BackendId> {
        self.with_state(|state| {
            let id = change(&mut state.core)?;
            state.lines.insert(id, line);
            Some(id)
        })
    }

    /// What the client's task does next: `None` if the client has ended and has been told so.
    pub(crate) fn port(&self, id: ClientId) -> Option<(bool, bool)> {
        let mut state = self.lock();
        let state = &mut *state;
        let is_gone = !state.core.clients.contains_key(&id);
        let is_empty = state.core.out_of(id).is_none_or(|out| out.is_empty());
        if is_gone && is_empty {
            state.core.last_words.remove(&id);
            state.clients.remove(&id);
            return None;
        }
        let port = state.clients.get(&id)?;
        Some((port.is_blocked, port.is_paused || is_gone))
    }

    /// Writes what waits for a client's socket.
    pub(crate) fn poll_client(&self, id: ClientId, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        state.poll_client(id, context)
    }

    /// Writes what waits for a backend's socket.
    pub(crate) fn poll_line(&self, id: BackendId, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        state.poll_line(id, context)
    }

    /// What the backend's task does next: whose answers are in the way of all others, and whether the socket is full.
    pub(crate) fn line(&self, id: BackendId) -> (Option<ClientId>, bool) {
        let state = self.lock();
        let backend = state.core.backends.get(&id);
        let line = state.lines.get(&id);
        (
            backend.and_then(|backend| backend.blocked_by),
            line.is_some_and(|line| line.is_blocked),
        )
    }

    pub(crate) fn take_line(&self, id: BackendId) -> Option<Line> {
        self.lock().lines.remove(&id)
    }

    /// A client has read its answers: the backend's are read again.
    pub(crate) fn unblock(&self, id: ClientId) {
        let mut state = self.lock();
        state.core.unblock(id);
        state.resume_reading();
    }

    /// Nothing more is taken from the `Db` for now; it is woken when that changes.
    pub(crate) fn is_full(&self, id: ClientId, context: &Context<'_>) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        let is_full = state.core.is_full_of(id);
        if let Some(port) = state.clients.get_mut(&id).filter(|_| is_full)
            && let Sink::Local { writer, .. } = &mut port.sink
        {
            *writer = Some(context.waker().clone());
            port.is_paused = true;
        }
        is_full
    }

    pub(crate) fn local<R>(
        &self,
        id: ClientId,
        use_it: impl FnOnce(&mut Core, Option<&mut Port>) -> R,
    ) -> R {
        let mut state = self.lock();
        let state = &mut *state;
        use_it(&mut state.core, state.clients.get_mut(&id))
    }

    pub(crate) fn remove_client(&self, id: ClientId) {
        let mut state = self.lock();
        state.core.last_words.remove(&id);
        state.clients.remove(&id);
    }

    /// Starts a task that ends with the exchange.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let task = async move {
            tokio::select! {
                () = task => {}
                () = stop.cancelled() => {}
            }
        };
        drop(self.tasks.spawn_on(task, &self.runtime));
    }
}

//! What is known of the connections of a `Db`: counted here, and shown beside PostgreSQL's own figures.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicI32, AtomicU64},
};

use serde::Serialize;
use tokio::sync::watch;

use super::{
    holder::{Holder, Loss},
    own_types::MissedTypes,
    reach::Reach,
    silence::Silence,
    tap::Valve,
    usage::UsageTracker,
};

/// Our own counts, shown beside PostgreSQL's and never instead of them.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) opened: AtomicU64,
    pub(super) backend_pid: AtomicI32,
    pub(super) usage: Arc<UsageTracker>,
    pub(super) missed_types: Arc<MissedTypes>,
    pub(super) reach: watch::Sender<Reach>,
    pub(super) silence: Arc<Silence>,
    /// Of the connection that the relay has, or had last.
    valve: Mutex<Option<Valve>>,
}

impl Counts {
    pub(super) fn valve(&self) -> MutexGuard<'_, Option<Valve>> {
        self.valve.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pool's state.
#[derive(Clone, Debug, Serialize)]
pub struct DbStatus {
    /// Limit of connections.
    pub max: usize,
    /// Connections that exist.
    pub size: usize,
    /// Connections opened since the pool was made.
    pub opened_total: u64,
    /// Backend of the connection opened last; `None` before the first.
    pub backend_pid: Option<i32>,
    /// Statements, transactions and checkouts that have used a connection; what runs inside of the latter two is not
    /// counted.
    pub uses_total: u64,
    /// How many wait for the connection now.
    pub waiting: usize,
    /// The longest wait so far.
    pub longest_wait_ms: u64,
    /// Its current users, oldest first, at most a few.
    pub holders: Vec<Holder>,
    /// Connections that ended by themselves and were reopened, by reason.
    pub reconnects: Vec<Loss>,
}

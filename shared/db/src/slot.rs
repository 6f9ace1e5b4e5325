//! The slot that holds the one connection, and the lock around it: shared by statements, alone for a transaction.
//!
//! Owns the order of use and the limits on waiting. The lock is fair, so neither side starves.

use std::{
    ops::Deref,
    pin::pin,
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use deadpool_postgres::Client as Object;
use tokio::{
    runtime::Handle,
    sync::{
        Mutex as AsyncMutex, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock as AsyncRwLock,
    },
};

use super::{
    config::DbConfig,
    counts::Counts,
    demoted::{is_read_only, refused_a_write},
    error::{DbError, ends_connection},
    failed_attempts::describe,
    holder::CallSite,
    mark::refuse_marks,
    peer::Peer,
    reach::FAILURE_TTL,
    source::Source,
    trace::What,
    traced::waited,
    usage::UsageGuard,
};
use crate::request::Request;

pub(super) struct Inner {
    /// Behind a lock for `Db::replace`.
    pub(super) source: RwLock<Arc<Source>>,
    /// The connection that statements share. It is taken from the pool once and stays here until it is lost or the
    /// process ends, so the pool cannot open another in its place.
    pub(super) slot: Arc<AsyncRwLock<Option<Object>>>,
    /// The process's runtime: cleaning up after an abandoned transaction must outlive the generation that abandoned it.
    pub(super) runtime: Handle,
    pub(super) counts: Arc<Counts>,
    /// Held during an attempt to open a connection, so that attempts run one at a time.
    pub(super) opening: AsyncMutex<()>,
    /// The connection in the slot works but takes no writes, which the URL asks for. The next caller replaces it.
    unusable: AtomicBool,
    /// Itself, for a task that opens the connection.
    me: Weak<Self>,
}

/// The connection in the slot.
type Usable = OwnedRwLockReadGuard<Option<Object>, Object>;
/// The slot, for one alone.
type Slot = OwnedRwLockWriteGuard<Option<Object>>;

/// The shared connection, recorded as in use.
pub(super) struct Shared {
    client: Usable,
    _usage: UsageGuard,
}

impl Deref for Shared {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.client
    }
}

impl Inner {
    pub(super) fn new(config: &DbConfig) -> Arc<Self> {
        let counts = Arc::default();
        Arc::new_cyclic(|me| Self {
            source: RwLock::new(Arc::new(Source::new(config, &counts))),
            slot: Arc::default(),
            runtime: config.runtime.clone(),
            counts,
            opening: AsyncMutex::default(),
            unusable: AtomicBool::new(false),
            me: me.clone(),
        })
    }

    /// Whom the shared connection leads to. The caller must hold the slot: then neither can be replaced.
    pub(super) fn peer(&self) -> Peer {
        let source = self.source();
        match (source.relay.clone(), self.counts.valve().clone()) {
            (Some(relay), Some(valve)) => Peer::Relay { relay, valve },
            _ => Peer::Server(source.tls.clone()),
        }
    }

    pub(super) fn wait_limit(&self) -> Duration {
        self.source().wait_limit
    }

    /// `None` if statements may share the connection. Otherwise what begins the transaction that each needs, with the
    /// statement timeout: a pooler answers the startup message itself, so the timeout cannot be set there.
    pub(super) fn begin_behind_a_pooler(&self) -> Option<String> {
        let source = self.source();
        let limit = source.statement_timeout.as_millis();
        (!source.pipeline).then(|| format!("BEGIN; SET LOCAL statement_timeout = {limit}"))
    }

    pub(super) fn source(&self) -> Arc<Source> {
        self.source
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Fails if there is no server that a connection could be opened to.
    pub(super) fn refuse_absent(&self) -> Result<(), DbError> {
        let source = self.source.read().unwrap_or_else(PoisonError::into_inner);
        match source.absent {
            Some(why) => Err(DbError::Absent { why }),
            None => Ok(()),
        }
    }

    /// The shared connection, opened if necessary. It counts as in use until the result is dropped.
    pub(super) async fn shared(&self, sql: &str, line: CallSite) -> Result<Shared, DbError> {
        self.refuse_absent()?;
        self.counts.usage.refuse_nested(line)?;
        refuse_marks(sql, line)?;
        Request::count_statement();
        let client = self
            .counts
            .silence
            .or_unsent(pin!(self.open_shared(line)))
            .await?;
        Ok(Shared {
            client,
            _usage: self.counts.usage.begin_use(line, false),
        })
    }

    async fn open_shared(&self, line: CallSite) -> Result<Usable, DbError> {
        let since = Instant::now();
        let turn = self.turn(line, async {
            let slot = self.slot.clone().read_owned().await;
            match OwnedRwLockReadGuard::try_map(slot, |slot| self.usable(slot)) {
                Ok(client) => Turn::Ready(client),
                Err(slot) => {
                    drop(slot);
                    Turn::ToOpen(self.slot.clone().write_owned().await)
                }
            }
        });
        Ok(match turn.await? {
            Turn::Ready(client) => client,
            Turn::ToOpen(slot) => {
                let slot = self.opened(slot, line, since).await?;
                OwnedRwLockReadGuard::map(slot.downgrade(), |slot| {
                    slot.as_ref().expect("`opened` has filled it")
                })
            }
        })
    }

    /// The connection for exclusive use, opened if necessary.
    pub(super) async fn exclusive(&self, line: CallSite) -> Result<Slot, DbError> {
        self.counts.usage.refuse_nested(line)?;
        let since = Instant::now();
        let take = pin!(async {
            let slot = self.turn(line, self.slot.clone().write_owned()).await?;
            self.opened(slot, line, since).await
        });
        self.counts.silence.or_unsent(take).await
    }

    /// Opens the connection unless another waiter has done so meanwhile. Opening has its own limits, so it does not
    /// count towards the wait limit.
    ///
    /// A caller that leaves does not take the attempt along: the server would still have that backend while the next
    /// caller opens another. What is opened stays in the slot for the next caller.
    async fn opened(
        &self,
        mut slot: Slot,
        line: CallSite,
        since: Instant,
    ) -> Result<Slot, DbError> {
        if self.usable(&slot).is_some() {
            return Ok(slot);
        }
        // Remove the old one from the pool first: with a limit of one, the pool would not open another.
        drop(slot.take().map(Object::take));
        let me = self.me.upgrade().expect("the caller has it");
        let attempt = async move {
            let opened = me.open_with_retries(line, since, Source::shared).await;
            *slot = Some(opened?.0);
            me.unusable.store(false, Relaxed);
            Ok(slot)
        };
        // Its errors name the request.
        let opening = match Request::current() {
            Some(request) => self.runtime.spawn(request.scope(attempt)),
            None => self.runtime.spawn(attempt),
        };
        match waited(opening, || What::Connect).await {
            Ok(opened) => opened,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The process's runtime is ending, and this caller with it.
            Err(_) => std::future::pending().await,
        }
    }

    fn usable<'a>(&self, slot: &'a Option<Object>) -> Option<&'a Object> {
        let unusable = self.unusable.load(Relaxed);
        slot.as_ref()
            .filter(|client| !client.is_closed() && !unusable)
    }

    /// Whether a read-only session is unusable.
    pub(super) fn wants_writes(&self) -> bool {
        self.source().wants_writes
    }

    /// Records why a connection ended, and notices a server that no longer takes writes: the next caller then replaces
    /// the connection. Returns `result` unchanged.
    pub(super) async fn note_outcome<T>(
        &self,
        client: &Object,
        result: Result<T, tokio_postgres::Error>,
    ) -> Result<T, tokio_postgres::Error> {
        if let Err(error) = &result {
            if ends_connection(error) {
                self.counts.usage.set_loss_reason(describe(error));
            }
            // We hold the read lock, so `client` is still the one in the slot.
            if refused_a_write(error)
                && self.wants_writes()
                && is_read_only(client).await
                && !self.unusable.swap(true, Relaxed)
            {
                self.counts.usage.record_demotion(describe(error));
            }
        }
        result
    }

    /// Bounds a wait for the slot. While the server is known to be down, a caller that tries to reach it may hold the
    /// slot for long; others give up quickly instead of queueing behind it.
    async fn turn<T>(&self, line: CallSite, wait: impl Future<Output = T>) -> Result<T, DbError> {
        let Some(reason) = self.known_failure() else {
            return self.bounded_wait(line, wait).await;
        };
        let brief = tokio::time::timeout(FAILURE_TTL, wait).await;
        brief.map_err(|_| DbError::Unreachable { reason })
    }

    /// Bounds a wait for others to release the connection.
    pub(super) async fn bounded_wait<T>(
        &self,
        line: CallSite,
        wait: impl Future<Output = T>,
    ) -> Result<T, DbError> {
        let limit = self.wait_limit();
        let _waiting = self.counts.usage.wait();
        let wait = self.counts.usage.turn(line, wait);
        let behind = || {
            let holders = self.counts.usage.holders();
            What::Wait(holders.first().map(ToString::to_string))
        };
        let in_turn = waited(tokio::time::timeout(limit, wait), behind).await;
        in_turn.map_err(|_| self.wait_timed_out(line, limit))
    }

    /// The error for a wait that timed out, naming the holders.
    pub(super) fn wait_timed_out(&self, line: CallSite, limit: Duration) -> DbError {
        let host = Request::current().filter(|me| me.is_of_the_host());
        DbError::Wait {
            limit,
            asked: host.map_or_else(|| line.to_string(), |host| host.to_string()),
            holders: self.counts.usage.holders(),
        }
    }
}

/// The outcome of a wait for the slot.
enum Turn {
    Ready(Usable),
    ToOpen(Slot),
}

//! The slot that holds the one connection, and the lock around it: shared by statements, alone for a transaction.
//!
//! Owns how the connection gets into the slot, once for all who wait for it, and how long anybody waits. The lock is
//! fair, so neither side starves.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use deadpool_postgres::{Client as Object, Pool, PoolError};
use tokio::{
    runtime::Handle,
    sync::{OwnedRwLockWriteGuard, RwLock as Lane, RwLockReadGuard},
};

use super::{
    book::{Line, Using},
    error::{DbError, connect_reason, describe, ends_connection, may_pass},
    mark::refuse_marks,
    pool::{Counts, DbConfig, counted_pool},
    tls::Tls,
};
use crate::request::Request;

pub(super) struct Inner {
    /// Behind a lock for `Db::replace`; every other use copies what it needs.
    pub(super) source: RwLock<Source>,
    /// The connection that statements share. It is taken from the pool once and stays here until it is lost or the
    /// process ends, so the pool cannot open another in its place.
    pub(super) slot: Arc<Lane<Option<Object>>>,
    /// Of the process: cleaning up after an abandoned transaction must outlive the generation that abandoned it.
    pub(super) runtime: Handle,
    pub(super) counts: Arc<Counts>,
    /// How the last attempt to open the connection failed, and when. `None` once one has succeeded.
    failed: Mutex<Option<(Instant, String)>>,
}

/// Where connections come from, and under which rules.
#[derive(Clone)]
pub(super) struct Source {
    /// Gives the connection its one place; with more than one allowed it also feeds exclusive use.
    pub(super) pool: Pool,
    /// Of its connections, for a cancel that goes the same way.
    tls: Tls,
    wait_limit: Duration,
    /// How long a connection that was lost may take to come back.
    patience: Duration,
    /// Whether statements may share the connection. Behind a pooler each needs a transaction of its own instead.
    pipeline: bool,
    statement_timeout: Duration,
}

impl Source {
    pub(super) fn new(config: &DbConfig, counts: &Arc<Counts>) -> Self {
        Self {
            pool: counted_pool(config, counts),
            tls: config.url.tls().clone(),
            wait_limit: config.wait_timeout,
            patience: config.connect_timeout,
            pipeline: config.pipeline,
            statement_timeout: config.statement_timeout,
        }
    }
}

/// The connection, shared; and its entry in the book.
pub(super) struct Shared<'a> {
    client: RwLockReadGuard<'a, Object>,
    _using: Using,
}

impl Deref for Shared<'_> {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.client
    }
}

/// Pauses between attempts to open a lost connection again.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
];

impl Inner {
    pub(super) fn new(config: &DbConfig) -> Self {
        let counts = Arc::default();
        Self {
            source: RwLock::new(Source::new(config, &counts)),
            slot: Arc::default(),
            runtime: config.runtime.clone(),
            counts,
            failed: Mutex::default(),
        }
    }

    /// The pool of now.
    pub(super) fn pool(&self) -> Pool {
        self.source().pool
    }

    /// The pool of now, and the TLS of what comes out of it.
    pub(super) fn pool_and_tls(&self) -> (Pool, Tls) {
        let Source { pool, tls, .. } = self.source();
        (pool, tls)
    }

    pub(super) fn wait_limit(&self) -> Duration {
        self.source().wait_limit
    }

    /// `None` if statements may share the connection; else what begins the transaction that each needs. The limit
    /// cannot be told at the connection's start then, which a pooler answers itself.
    pub(super) fn begin_behind_a_pooler(&self) -> Option<String> {
        let source = self.source();
        let limit = source.statement_timeout.as_millis();
        (!source.pipeline).then(|| format!("BEGIN; SET LOCAL statement_timeout = {limit}"))
    }

    fn source(&self) -> Source {
        self.source
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The open connection, shared; and its entry in the book, to be kept as long.
    pub(super) async fn shared(&self, sql: &str, line: Line) -> Result<Shared<'_>, DbError> {
        self.counts.book.refuse_nested(line)?;
        refuse_marks(sql, line)?;
        Request::count_statement();
        let since = Instant::now();
        let waited = self.within(line, async {
            loop {
                let slot = self.slot.read().await;
                if let Ok(client) = RwLockReadGuard::try_map(slot, |slot| {
                    slot.as_ref().filter(|client| !client.is_closed())
                }) {
                    return Ok(client);
                }
                self.open(&mut *self.slot.write().await, since).await?;
            }
        });
        Ok(Shared {
            client: waited.await?,
            _using: self.counts.book.enter(line, false),
        })
    }

    /// The open connection, alone.
    pub(super) async fn alone(
        &self,
        line: Line,
    ) -> Result<OwnedRwLockWriteGuard<Option<Object>>, DbError> {
        self.counts.book.refuse_nested(line)?;
        let since = Instant::now();
        self.within(line, async {
            let mut slot = self.slot.clone().write_owned().await;
            self.open(&mut slot, since).await?;
            Ok(slot)
        })
        .await
    }

    /// Opens the connection unless another waiter has done so meanwhile, or has failed to: one attempt for all who
    /// wait. A connection that is lost is given time to come back, once: while nobody listens there, later requests
    /// are told so at once.
    async fn open(&self, slot: &mut Option<Object>, since: Instant) -> Result<(), DbError> {
        if slot.as_ref().is_some_and(|client| !client.is_closed()) {
            return Ok(());
        }
        // The closed one leaves the pool first, or the limit of one would not let a new one in.
        if let Some(closed) = slot.take() {
            drop(Object::take(closed));
        }
        let source = self.source();
        let patience = match &*self.failed() {
            Some((at, reason)) if *at >= since => {
                let reason = reason.clone();
                return Err(DbError::Unreachable { reason });
            }
            Some(_) => Duration::ZERO,
            None if self.counts.opened.load(Relaxed) == 0 => Duration::ZERO, // never yet: no restart, a mistake
            None => source.patience,
        };
        let began = Instant::now();
        let mut pauses = PAUSES.iter().chain(PAUSES.last().into_iter().cycle());
        let opened = loop {
            match source.pool.get().await {
                Err(error) if may_pass(&error) && began.elapsed() < patience => {
                    tokio::time::sleep(*pauses.next().expect("it cycles")).await;
                }
                opened => break opened,
            }
        };
        match opened {
            Ok(client) => {
                *self.failed() = None;
                *slot = Some(client);
                Ok(())
            }
            Err(error) => {
                *self.failed() = Some((Instant::now(), connect_reason(&error)));
                Err(DbError::Connect(error))
            }
        }
    }

    fn failed(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens for the last words of a connection, and passes all on.
    pub(super) fn heard<T>(
        &self,
        result: Result<T, tokio_postgres::Error>,
    ) -> Result<T, tokio_postgres::Error> {
        result.inspect_err(|error| {
            if ends_connection(error) {
                self.counts.book.heard(describe(error));
            }
        })
    }

    /// Bounds a wait for the connection; opening it has limits of its own within.
    pub(super) async fn within<T>(
        &self,
        line: Line,
        wait: impl Future<Output = Result<T, DbError>>,
    ) -> Result<T, DbError> {
        let limit = self.wait_limit();
        let _waiting = self.counts.book.wait();
        match tokio::time::timeout(limit, wait).await {
            Ok(Err(DbError::Connect(PoolError::Timeout(deadpool_postgres::TimeoutType::Wait))))
            | Err(_) => Err(DbError::Wait {
                limit,
                asked: line.to_string(),
                holders: self.counts.book.holders(),
            }),
            Ok(result) => result,
        }
    }
}

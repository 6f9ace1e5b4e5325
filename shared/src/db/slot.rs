//! The slot that holds the one connection, and the lock around it: shared by statements, alone for a transaction.
//!
//! Owns the order in which it is used, and how long anybody waits for a turn. The lock is fair, so neither side
//! starves.

use std::{
    ops::Deref,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use deadpool_postgres::{Client as Object, Pool};
use tokio::{
    runtime::Handle,
    sync::{
        Mutex as Turns, OwnedRwLockWriteGuard, RwLock as Lane, RwLockReadGuard, RwLockWriteGuard,
    },
};
use tokio_postgres::config::TargetSessionAttrs;

use super::{
    attempt::BRIEF,
    book::{Line, Using},
    demoted::{give_up, is_read_only, refused_a_write},
    error::{DbError, describe, ends_connection},
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
    /// Held by whoever tries to open a connection.
    pub(super) turns: Turns<()>,
    /// Of the connection in the slot: it works, and is good for nothing. Whoever comes next replaces it.
    spent: AtomicBool,
}

/// Where connections come from, and under which rules.
#[derive(Clone)]
pub(super) struct Source {
    /// Gives the connection its one place; with more than one allowed it also feeds exclusive use.
    pub(super) pool: Pool,
    /// Of its connections, for a cancel that goes the same way.
    pub(super) tls: Tls,
    wait_limit: Duration,
    /// How long a connection that was lost may take to come back.
    pub(super) patience: Duration,
    /// The URL asks for a server that takes writes.
    wants_writes: bool,
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
            wants_writes: config.url.config().get_target_session_attrs()
                == TargetSessionAttrs::ReadWrite,
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

impl Inner {
    pub(super) fn new(config: &DbConfig) -> Self {
        let counts = Arc::default();
        Self {
            source: RwLock::new(Source::new(config, &counts)),
            slot: Arc::default(),
            runtime: config.runtime.clone(),
            counts,
            turns: Turns::default(),
            spent: AtomicBool::new(false),
        }
    }

    /// The pool of now.
    pub(super) fn pool(&self) -> Pool {
        self.source().pool
    }

    /// Of the connections that come out of the pool of now.
    pub(super) fn tls(&self) -> Tls {
        self.source().tls
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

    pub(super) fn source(&self) -> Source {
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
        let turn = self.turn(line, async {
            let slot = self.slot.read().await;
            match RwLockReadGuard::try_map(slot, |slot| self.usable(slot)) {
                Ok(client) => Turn::Ready(client),
                Err(slot) => {
                    drop(slot);
                    Turn::ToOpen(self.slot.write().await)
                }
            }
        });
        let client = match turn.await? {
            Turn::Ready(client) => client,
            Turn::ToOpen(mut slot) => {
                self.open(&mut slot, line, since).await?;
                RwLockWriteGuard::downgrade_map(slot, |slot| {
                    slot.as_ref().expect("`open` has filled it")
                })
            }
        };
        Ok(Shared {
            client,
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
        let mut slot = self.turn(line, self.slot.clone().write_owned()).await?;
        self.open(&mut slot, line, since).await?;
        Ok(slot)
    }

    /// Opens the connection unless another waiter has done so meanwhile. It has limits of its own.
    async fn open(
        &self,
        slot: &mut Option<Object>,
        line: Line,
        since: Instant,
    ) -> Result<(), DbError> {
        if self.usable(slot).is_some() {
            return Ok(());
        }
        // The old one leaves the pool first, or the limit of one would not let a new one in.
        drop(slot.take().map(Object::take));
        *slot = Some(self.opened(line, since).await?.0);
        self.spent.store(false, Relaxed);
        Ok(())
    }

    fn usable<'a>(&self, slot: &'a Option<Object>) -> Option<&'a Object> {
        let spent = self.spent.load(Relaxed);
        slot.as_ref().filter(|client| !client.is_closed() && !spent)
    }

    /// Whether a session that may not write is good for nothing.
    pub(super) fn wants_writes(&self) -> bool {
        self.source().wants_writes
    }

    /// Listens for the last words of a connection, and for a server that takes no writes any more: then whoever comes
    /// next replaces the connection. Passes all on.
    pub(super) async fn heard<T>(
        &self,
        client: &Object,
        result: Result<T, tokio_postgres::Error>,
    ) -> Result<T, tokio_postgres::Error> {
        if let Err(error) = &result {
            if ends_connection(error) {
                self.counts.book.heard(describe(error));
            }
            // While we share it nobody puts another into the slot.
            if refused_a_write(error)
                && self.wants_writes()
                && is_read_only(client).await
                && !self.spent.swap(true, Relaxed)
            {
                give_up(&self.counts.book, describe(error));
            }
        }
        result
    }

    /// Bounds a wait for the slot. While the server is known to be down, somebody who tries to reach it may keep the
    /// slot for long; nobody else waits for that.
    async fn turn<T>(&self, line: Line, wait: impl Future<Output = T>) -> Result<T, DbError> {
        let Some(reason) = self.news() else {
            return self.within(line, wait).await;
        };
        let brief = tokio::time::timeout(BRIEF, wait).await;
        brief.map_err(|_| DbError::Unreachable { reason })
    }

    /// Bounds a wait for others to let go of the connection.
    pub(super) async fn within<T>(
        &self,
        line: Line,
        wait: impl Future<Output = T>,
    ) -> Result<T, DbError> {
        let limit = self.wait_limit();
        let _waiting = self.counts.book.wait();
        let wait = self.counts.book.turn(line, wait);
        let waited = tokio::time::timeout(limit, wait).await;
        waited.map_err(|_| self.waited(line, limit))
    }

    /// Who it was waited for in vain.
    pub(super) fn waited(&self, line: Line, limit: Duration) -> DbError {
        DbError::Wait {
            limit,
            asked: line.to_string(),
            holders: self.counts.book.holders(),
        }
    }
}

/// What a wait for the slot has led to.
enum Turn<'a> {
    Ready(RwLockReadGuard<'a, Object>),
    ToOpen(RwLockWriteGuard<'a, Option<Object>>),
}

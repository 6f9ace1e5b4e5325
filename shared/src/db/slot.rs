//! The slot that holds the one connection, and the lock around it: shared by statements, alone for a transaction.
//!
//! Owns how the connection gets into the slot, once for all who wait for it, and how long anybody waits. The lock is
//! fair, so neither side starves.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use deadpool_postgres::{Client as Object, Pool, PoolError};
use tokio::{
    runtime::Handle,
    sync::{OwnedRwLockWriteGuard, RwLock as Lane, RwLockReadGuard},
};

use super::{
    book::{Line, Using},
    error::{DbError, describe, ends_connection},
    pool::{Counts, DbConfig, counted_pool},
    tls::Tls,
};
use crate::request::Request;

pub(super) struct Inner {
    /// Gives the connection its one place; with more than one allowed it also feeds exclusive use. Beside it, the
    /// limit of waiting, and the TLS that a cancel goes through. Behind a lock for `Db::replace`; every other use
    /// copies them out.
    pub(super) pool: RwLock<(Pool, Duration, Tls)>,
    /// The connection that statements share. It is taken from the pool once and stays here until it is lost or the
    /// process ends, so the pool cannot open another in its place.
    pub(super) slot: Arc<Lane<Option<Object>>>,
    /// Of the process: cleaning up after an abandoned transaction must outlive the generation that abandoned it.
    pub(super) runtime: Handle,
    pub(super) counts: Arc<Counts>,
}

impl Inner {
    pub(super) fn new(config: &DbConfig) -> Self {
        let counts = Arc::default();
        Self {
            pool: RwLock::new((
                counted_pool(config, &counts),
                config.wait_timeout,
                config.url.tls().clone(),
            )),
            slot: Arc::default(),
            runtime: config.runtime.clone(),
            counts,
        }
    }

    /// The pool of now.
    pub(super) fn pool(&self) -> Pool {
        self.pool
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .clone()
    }

    /// The pool of now, and the TLS of what comes out of it.
    pub(super) fn pool_and_tls(&self) -> (Pool, Tls) {
        let now = self.pool.read().unwrap_or_else(PoisonError::into_inner);
        (now.0.clone(), now.2.clone())
    }

    pub(super) fn wait_limit(&self) -> Duration {
        self.pool.read().unwrap_or_else(PoisonError::into_inner).1
    }

    /// The open connection, shared; and its entry in the book, to be kept as long.
    pub(super) async fn shared(
        &self,
        line: Line,
    ) -> Result<(RwLockReadGuard<'_, Object>, Using), DbError> {
        self.counts.book.refuse_nested(line)?;
        Request::count_statement();
        let client = self.within(line, async {
            loop {
                let slot = self.slot.read().await;
                if let Ok(client) = RwLockReadGuard::try_map(slot, |slot| {
                    slot.as_ref().filter(|client| !client.is_closed())
                }) {
                    return Ok(client);
                }
                self.open(&mut *self.slot.write().await).await?;
            }
        });
        Ok((client.await?, self.counts.book.enter(line, false)))
    }

    /// The open connection, alone.
    pub(super) async fn alone(
        &self,
        line: Line,
    ) -> Result<OwnedRwLockWriteGuard<Option<Object>>, DbError> {
        self.counts.book.refuse_nested(line)?;
        self.within(line, async {
            let mut slot = self.slot.clone().write_owned().await;
            self.open(&mut slot).await?;
            Ok(slot)
        })
        .await
    }

    /// Opens the connection unless another waiter has done so meanwhile: one reconnect for all who wait.
    async fn open(&self, slot: &mut Option<Object>) -> Result<(), DbError> {
        if slot.as_ref().is_some_and(|client| !client.is_closed()) {
            return Ok(());
        }
        // The closed one leaves the pool first, or the limit of one would not let a new one in.
        if let Some(closed) = slot.take() {
            drop(Object::take(closed));
        }
        *slot = Some(self.pool().get().await.map_err(DbError::Connect)?);
        Ok(())
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

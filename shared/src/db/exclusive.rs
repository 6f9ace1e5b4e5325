//! The exclusive side: one holder has a connection to itself.
//!
//! Owns what happens when the holder goes away in the middle: its abandoned statement is cancelled at the server and
//! its transaction rolled back BEFORE anyone else gets the connection, on the runtime of the process, since the
//! holder's own may be ending. With more than one connection allowed, holders use the others and the shared lane
//! keeps its own.

use std::{
    panic::Location,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use deadpool_postgres::Client as Object;
use tokio::{runtime::Handle, sync::OwnedRwLockWriteGuard};

use super::{
    book::{Line, Using},
    clean::clean_up,
    demoted::{is_read_only, refused_a_write},
    error::{DbError, describe, ends_connection, is_stale},
    failure::noted,
    lane::Db,
    pooler::Lessons,
    tls::Tls,
};
use crate::request::Request;

/// How long cleaning up may take before the connection is given up and replaced.
const CLEAN_UP_LIMIT: Duration = Duration::from_secs(5);

impl Db {
    /// Takes a connection for LISTEN, COPY, cursors, `SET`: anything that leaves a mark on the session.
    ///
    /// # Errors
    ///
    /// [`DbError::Wait`], [`DbError::Nested`] or [`DbError::Connect`].
    #[track_caller]
    pub fn checkout(&self) -> impl Future<Output = Result<Checkout, DbError>> {
        let line = Location::caller();
        async move {
            let mut checkout = noted(line, None, self.take(line)).await?;
            if let (false, Some(using)) = (self.has_others(), &mut checkout.using) {
                using.hold_by_hand();
            }
            Ok(checkout)
        }
    }

    /// Whether someone who holds a connection alone leaves one to everybody else.
    pub(super) fn has_others(&self) -> bool {
        self.inner().pool().status().max_size > 1
    }

    pub(super) async fn take(&self, line: Line) -> Result<Checkout, DbError> {
        let inner = self.inner();
        let (held, tls) = if self.has_others() {
            let (client, tls) = inner.pooled(line, Instant::now()).await?;
            (Held::Pooled(Box::new(client)), tls)
        } else {
            let held = inner.alone(line).await?;
            // After the wait: whoever holds the slot keeps `replace` out.
            (Held::Slot(held), inner.tls())
        };
        Ok(Checkout {
            held: Some(held),
            tls,
            using: Some(inner.counts.book.enter(line, true)),
            running: AtomicUsize::new(0),
            clean: false,
            raw: true,
            marked: AtomicBool::new(false),
            behind_a_pooler: inner.begin_behind_a_pooler().is_some(),
            wants_writes: inner.wants_writes(),
            refusal: Mutex::default(),
            met_a_new_type: AtomicBool::new(false),
            lessons: inner.counts.lessons.clone(),
            runtime: inner.runtime.clone(),
        })
    }
}

enum Held {
    /// The shared connection, with everybody else kept out by this guard.
    Slot(OwnedRwLockWriteGuard<Option<Object>>),
    /// Another connection of a pool that may have several.
    Pooled(Box<Object>),
}

impl Held {
    fn client(&self) -> &Object {
        match self {
            Self::Slot(slot) => slot
                .as_ref()
                .expect("`alone` opened it, and only this guard could empty it"),
            Self::Pooled(client) => client,
        }
    }

    /// Gives the connection up instead of back: it is in a state nobody can vouch for.
    fn discard(self) {
        match self {
            Self::Slot(mut slot) => drop(slot.take().map(Object::take)),
            Self::Pooled(client) => drop(Object::take(*client)),
        }
    }
}

/// A connection held alone. Given back, cleaned, when dropped.
pub struct Checkout {
    /// Empty only while dropping.
    held: Option<Held>,
    /// Of the URL it was opened by, for a cancel: meanwhile there may be another.
    tls: Tls,
    /// Its entry in the book, struck out once the connection is clean. Empty only while dropping.
    using: Option<Using>,
    /// Statements sent and not yet answered. Above zero on drop: the holder left in the middle of one.
    running: AtomicUsize,
    /// Nothing to roll back: set by a COMMIT that was confirmed.
    pub(super) clean: bool,
    /// Used through `client`, where anything can be said to the session and nothing is counted.
    pub(super) raw: bool,
    /// A statement's text has said that it marks the session: taken back even after a COMMIT.
    pub(super) marked: AtomicBool,
    /// In a pooler's session the statements must go with the transaction: the next user's may have the same names.
    pub(super) behind_a_pooler: bool,
    /// A session that may not write is good for nothing.
    wants_writes: bool,
    /// PostgreSQL's words on a write that it did not allow: then the session is looked at before it is given back.
    refusal: Mutex<Option<String>>,
    /// Behind a pooler: tokio-postgres cannot ask for another type on this connection.
    met_a_new_type: AtomicBool,
    /// For the next connection to know.
    pub(super) lessons: Arc<Lessons>,
    runtime: Handle,
}

impl Checkout {
    /// The connection itself, with everything tokio-postgres offers.
    pub fn client(&self) -> &Object {
        self.held.as_ref().expect("taken only by drop").client()
    }

    /// The connection, as the migration runner wants it.
    pub fn client_mut(&mut self) -> &mut Object {
        match self.held.as_mut().expect("taken only by drop") {
            Held::Slot(slot) => slot
                .as_mut()
                .expect("`alone` opened it, and only this guard could empty it"),
            Held::Pooled(client) => client,
        }
    }

    /// Awaits a statement and keeps count, so that a drop in the middle is noticed.
    pub(super) async fn run<T>(
        &self,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, DbError> {
        Request::count_statement();
        self.running.fetch_add(1, Relaxed);
        let result = statement.await;
        self.running.fetch_sub(1, Relaxed);
        if let (Err(error), Some(using)) = (&result, &self.using) {
            if ends_connection(error) {
                using.heard(describe(error));
            }
            if self.wants_writes && refused_a_write(error) {
                let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
                *refusal = Some(describe(error));
            }
            if self.behind_a_pooler && is_stale(error) {
                self.met_a_new_type.store(true, Relaxed);
            }
        }
        Ok(result?)
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let (Some(held), Some(mut using)) = (self.held.take(), self.using.take()) else {
            return;
        };
        using.let_go();
        let marked = self.raw || *self.marked.get_mut();
        let refusal = self
            .refusal
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let refusal = refusal.take();
        let outdated = *self.met_a_new_type.get_mut();
        if self.clean && !marked && refusal.is_none() || held.client().is_closed() {
            return;
        }
        let abandoned = !self.clean && (self.raw || *self.running.get_mut() > 0);
        let rollback = if self.behind_a_pooler {
            "ROLLBACK; DEALLOCATE ALL"
        } else {
            "ROLLBACK"
        };
        let tls = self.tls.clone();
        // The guard moves into the task: the next user gets the connection when the task is done with it.
        self.runtime.spawn(async move {
            let cleaning = async {
                let client = held.client();
                clean_up(client, &tls, rollback, abandoned, marked).await?;
                if let Some(refusal) = refusal
                    && is_read_only(client).await
                {
                    using.give_up(refusal);
                    return Ok(false);
                }
                Ok::<_, tokio_postgres::Error>(!outdated)
            };
            match tokio::time::timeout(CLEAN_UP_LIMIT, cleaning).await {
                Ok(Ok(true)) => drop(held),
                Ok(Ok(false) | Err(_)) | Err(_) => held.discard(),
            }
            drop(using);
        });
    }
}

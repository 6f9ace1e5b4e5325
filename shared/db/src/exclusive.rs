//! Exclusive use: one holder has a connection to itself.
//!
//! Owns what happens when the holder is dropped half-way: its running statement is cancelled at the server and its
//! transaction rolled back BEFORE anyone else gets the connection. This runs on the process's runtime, since the
//! holder's own may be ending. With more than one connection allowed, holders use the others and the shared lane keeps
//! its own.

use std::{
    panic::Location,
    pin::pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use deadpool_postgres::Client as Object;
use futures_util::FutureExt;
use tokio::{runtime::Handle, sync::OwnedRwLockWriteGuard};

use super::{
    cancel::Cancel,
    clean::{Unclean, clean_up},
    demoted::{is_read_only, refused_a_write},
    error::{DbError, ends_connection, is_stale},
    failed_attempts::describe,
    holder::CallSite,
    lane::Db,
    own_types::MissedTypes,
    peer::{Hold, Peer},
    recording::recording_failure,
    silence::Silence,
    usage::UsageGuard,
};
use crate::request::Request;

/// How long cleanup may take before the connection is discarded and replaced.
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
            let mut checkout = recording_failure(line, None, self.take(line)).await?;
            checkout.hold();
            let has_others = self.has_others();
            if let Some(usage_guard) = &mut checkout.usage_guard {
                usage_guard.mark_as_checkout(!has_others);
            }
            Ok(checkout)
        }
    }

    /// Whether exclusive use of one connection leaves another for everyone else.
    pub(super) fn has_others(&self) -> bool {
        self.inner().source().max() > 1
    }

    pub(super) async fn take(&self, line: CallSite) -> Result<Checkout, DbError> {
        let inner = self.inner();
        inner.refuse_absent()?;
        let (held, peer) = if self.has_others() {
            let taken = pin!(inner.take_from_pool(line, Instant::now()));
            let (client, tls) = inner.counts.silence.or_unsent(taken).await?;
            (Held::Pooled(Box::new(client)), Peer::Server(tls))
        } else {
            let held = inner.exclusive(line).await?;
            // Read after the wait: `replace` cannot run while we hold the slot.
            (Held::Slot(held), inner.peer())
        };
        Ok(Checkout {
            held: Some(held),
            peer,
            hold: OnceLock::new(),
            usage_guard: Some(inner.counts.usage.begin_use(line, true)),
            running: AtomicUsize::new(0),
            clean: false,
            raw: true,
            marked: AtomicBool::new(false),
            behind_a_pooler: inner.begin_behind_a_pooler().is_some(),
            wants_writes: inner.wants_writes(),
            refusal: Mutex::default(),
            met_unknown_type: AtomicBool::new(false),
            missed_types: inner.counts.missed_types.clone(),
            silence: inner.counts.silence.clone(),
            runtime: inner.runtime.clone(),
        })
    }
}

enum Held {
    /// The shared connection; this guard keeps everyone else out.
    Slot(OwnedRwLockWriteGuard<Option<Object>>),
    /// Another connection, from a pool of several.
    Pooled(Box<Object>),
}

impl Held {
    fn client(&self) -> &Object {
        match self {
            Self::Slot(slot) => slot
                .as_ref()
                .expect("`exclusive` opened it, and only this guard could empty it"),
            Self::Pooled(client) => client,
        }
    }

    /// Closes the connection instead of returning it: its state is unknown.
    fn discard(self) {
        match self {
            Self::Slot(mut slot) => drop(slot.take().map(Object::take)),
            Self::Pooled(client) => drop(Object::take(*client)),
        }
    }
}

/// A connection for exclusive use. Cleaned and returned when dropped.
pub struct Checkout {
    /// Empty only while dropping.
    held: Option<Held>,
    peer: Peer,
    /// Keeps others off the session until it is clean again.
    hold: OnceLock<Option<Hold>>,
    /// Records the use until the connection is clean again. Empty only while dropping.
    usage_guard: Option<UsageGuard>,
    /// Statements sent and not yet answered. Above zero on drop, the holder abandoned one.
    running: AtomicUsize,
    /// Nothing to roll back: set by a COMMIT that was confirmed.
    pub(super) clean: bool,
    /// Used through `client`, where the session can be changed in any way and statements are not counted.
    pub(super) raw: bool,
    /// A statement changed the session, judged by its text: the session is reset even after a COMMIT.
    pub(super) marked: AtomicBool,
    /// Prepared statements must be deallocated with the transaction: the pooler's next client may use the same names.
    pub(super) behind_a_pooler: bool,
    /// A read-only session is unusable.
    wants_writes: bool,
    /// PostgreSQL's error for a write that it refused. If set, the session is checked before it is returned.
    refusal: Mutex<Option<String>>,
    /// Behind a pooler: tokio-postgres cannot look up another type on this connection, so it is not reused.
    met_unknown_type: AtomicBool,
    /// Types that the next connection must load.
    pub(super) missed_types: Arc<MissedTypes>,
    silence: Arc<Silence>,
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
                .expect("`exclusive` opened it, and only this guard could empty it"),
            Held::Pooled(client) => client,
        }
    }

    /// Cancels what runs on it, while something else has the connection.
    #[must_use]
    pub fn cancel(&self) -> Cancel {
        self.peer.cancel(self.client())
    }

    /// Before a statement that leaves something in the session.
    pub(super) fn hold(&self) {
        self.hold.get_or_init(|| self.peer.hold());
    }

    /// Awaits a statement and counts it, so that a drop half-way is noticed.
    pub(super) async fn run<T>(
        &self,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, DbError> {
        Request::count_statement();
        self.running.fetch_add(1, Relaxed);
        // Silent: it stays counted, so that the drop cancels it.
        let answer = pin!(statement.map(Ok::<_, DbError>));
        let result = self.silence.or_unanswered(answer).await?;
        self.running.fetch_sub(1, Relaxed);
        if let (Err(error), Some(usage_guard)) = (&result, &self.usage_guard) {
            if ends_connection(error) {
                usage_guard.set_loss_reason(describe(error));
            }
            if self.wants_writes && refused_a_write(error) {
                let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
                *refusal = Some(describe(error));
            }
            if self.behind_a_pooler && is_stale(error) {
                self.met_unknown_type.store(true, Relaxed);
            }
        }
        Ok(result?)
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let (Some(held), Some(mut usage_guard)) = (self.held.take(), self.usage_guard.take())
        else {
            return;
        };
        usage_guard.release();
        let marked = self.raw || *self.marked.get_mut();
        let refusal = self
            .refusal
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let refusal = refusal.take();
        let outdated = *self.met_unknown_type.get_mut();
        if self.clean && !marked && refusal.is_none() || held.client().is_closed() {
            return;
        }
        let abandoned = !self.clean && (self.raw || *self.running.get_mut() > 0);
        let rollback = if self.behind_a_pooler {
            "ROLLBACK; DEALLOCATE ALL"
        } else {
            "ROLLBACK"
        };
        let (peer, hold) = (self.peer.clone(), self.hold.take());
        let silence = self.silence.clone();
        // The guard moves into the task, so the next user gets the connection only once it is clean.
        self.runtime.spawn(async move {
            let cleaning = async {
                let client = held.client();
                clean_up(client, &peer, rollback, abandoned, marked).await?;
                if let Some(refusal) = refusal
                    && is_read_only(client).await
                {
                    usage_guard.record_demotion(refusal);
                    return Ok(false);
                }
                Ok::<_, Unclean>(!outdated)
            };
            let cleaned = async {
                let mut cleaning = pin!(cleaning);
                // A silent server cleans nothing until it answers again, and then it does so on the same connection.
                loop {
                    silence.over().await;
                    match tokio::time::timeout(CLEAN_UP_LIMIT, &mut cleaning).await {
                        Err(_) if silence.is_on() => {}
                        cleaned => break matches!(cleaned, Ok(Ok(true))),
                    }
                }
            };
            let is_clean = tokio::select! {
                is_clean = cleaned => is_clean,
                () = silence.left() => false,
            };
            if is_clean {
                drop(hold);
                drop(held);
            } else {
                held.discard();
                peer.cut();
                drop(hold);
            }
            drop(usage_guard);
        });
    }
}

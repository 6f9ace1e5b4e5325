//! A server that is silent: it neither answers nor closes the connection, so nothing else ends a wait for it.
//!
//! The process has to find that out, over another connection, and says so with [`Db::set_silent`](crate::Db::set_silent). Uses of the database
//! then fail instead of waiting for ever. The connection is kept, and goes on once the server answers again.
//!
//! Work is pinned by its caller: each async function that takes it by value has room for it twice, and a future of a
//! statement is made and moved for each.

use std::pin::Pin;

use tokio::sync::{Notify, watch};

use super::error::DbError;

/// Whether the server is known to be silent.
#[derive(Debug, Default)]
pub(super) struct Silence {
    silent: watch::Sender<bool>,
    /// Notified when the server is given up for another while it is silent.
    left: Notify,
}

impl Silence {
    /// Returns whether it has just become silent.
    pub(super) fn set(&self, silent: bool) -> bool {
        let changes = |now: &mut bool| std::mem::replace(now, silent) != silent;
        self.silent.send_if_modified(changes) && silent
    }

    /// Before anything is sent: runs `work` until the server is silent.
    pub(super) async fn or_unsent<T, E>(
        &self,
        work: Pin<&mut impl Future<Output = Result<T, E>>>,
    ) -> Result<T, DbError>
    where
        DbError: From<E>,
    {
        self.or(DbError::Silent { sent: false }, work).await
    }

    /// While `work` sends a statement and waits for the answer: runs it until the server is silent.
    pub(super) async fn or_unanswered<T, E>(
        &self,
        work: Pin<&mut impl Future<Output = Result<T, E>>>,
    ) -> Result<T, DbError>
    where
        DbError: From<E>,
    {
        self.or(DbError::Silent { sent: true }, work).await
    }

    async fn or<T, E>(
        &self,
        error: DbError,
        work: Pin<&mut impl Future<Output = Result<T, E>>>,
    ) -> Result<T, DbError>
    where
        DbError: From<E>,
    {
        tokio::select! {
            biased;
            () = self.until(true) => Err(error),
            result = work => Ok(result?),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        *self.silent.borrow()
    }

    /// Waits until the server answers.
    pub(super) async fn over(&self) {
        self.until(false).await;
    }

    /// Another server takes the place of this one: no statement waits any longer for the old one.
    pub(super) fn leave(&self) {
        if self.is_on() {
            self.left.notify_waiters();
        }
    }

    /// Waits until the server has been left while it was silent.
    pub(super) async fn left(&self) {
        self.left.notified().await;
    }

    async fn until(&self, silent: bool) {
        let mut updates = self.silent.subscribe();
        let waited = updates.wait_for(|now| *now == silent).await;
        waited.expect("the sender is in `self`");
    }
}

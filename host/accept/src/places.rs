//! How many clients may be connected at once, and how many are.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for clients. Clones are the same places.
#[derive(Clone, Debug)]
pub struct Places {
    free: Arc<Semaphore>,
    limit: usize,
    name: &'static str,
    open: Arc<AtomicUsize>,
}

impl Places {
    /// So many of them. `name` tells the user which limit it is.
    pub fn new(limit: usize, name: &'static str) -> Self {
        Self {
            free: Arc::new(Semaphore::new(limit)),
            limit,
            name,
            open: Arc::default(),
        }
    }

    /// How many there are.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many clients are connected.
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn are_taken(&self) -> bool {
        self.free.available_permits() == 0
    }

    /// The next free one, which is kept free for a client that is still to come. Cancel-safe.
    pub(crate) async fn free(&self) -> OwnedSemaphorePermit {
        let place = self.free.clone().acquire_owned().await;
        place.expect("nobody closes the semaphore")
    }

    /// Until no client is connected. Cancel-safe.
    pub(crate) async fn all_free(&self) {
        let all = u32::try_from(self.limit).unwrap_or(u32::MAX);
        let places = self.free.acquire_many(all).await;
        drop(places.expect("nobody closes the semaphore"));
    }

    /// The client has come.
    pub(crate) fn take(&self, place: OwnedSemaphorePermit) -> Place {
        self.open.fetch_add(1, Relaxed);
        Place {
            open: self.open.clone(),
            _place: place,
        }
    }
}

/// A client's, until its socket is dropped.
pub(crate) struct Place {
    open: Arc<AtomicUsize>,
    _place: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Relaxed);
    }
}

//! Who has the connection, since when and from which line; who waits for it; and how connections were lost.
//!
//! Written at every use, read when a wait runs out or a person looks. Nothing here decides who gets the connection:
//! that is the lane's lock.

use std::{
    collections::BTreeMap,
    panic::Location,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    demoted::give_up,
    error::DbError,
    holder::{Holder, Loss},
};
use crate::request::Request;

/// How many holders a wait names: behind the first few there is nothing new.
const NAMED: usize = 5;

/// How long a request waits for the connection while one of an older generation holds it alone; then that one is cut
/// off. After a save the person waits for the new code, and the old code is on its way out anyway.
const PATIENCE: Duration = Duration::from_secs(1);

/// Last words older than this were another connection's.
const JUST_NOW: Duration = Duration::from_secs(1);

/// The line of the app that asks.
pub(super) type Line = &'static Location<'static>;

tokio::task_local! {
    /// The transactions that the current code runs in: whose, and where they began. Of several databases, perhaps.
    static INSIDE: Vec<(Arc<Book>, Line)>;
}

#[derive(Debug, Default)]
pub(super) struct Book(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    next: u64,
    /// Oldest first.
    uses: BTreeMap<u64, Use>,
    waiting: usize,
    longest_wait: Duration,
    losses: BTreeMap<String, u64>,
    /// PostgreSQL's last words on a connection, as a statement under way got them, and when.
    last_words: Option<(String, Instant)>,
    /// The loss entered last, and when: its words may come later.
    last_loss: Option<(String, Instant)>,
}

#[derive(Debug)]
struct Use {
    by: Option<Arc<Request>>,
    line: Line,
    since: Instant,
    alone: bool,
}

/// A use of the connection, until dropped.
pub(super) struct Using {
    book: Arc<Book>,
    key: u64,
    /// Told that it holds nothing any more.
    holder: Option<Arc<Request>>,
}

/// A wait, until dropped.
pub(super) struct Waiting<'a> {
    book: &'a Book,
    since: Instant,
}

impl Book {
    /// Enters a use that begins now.
    pub(super) fn enter(self: &Arc<Self>, line: Line, alone: bool) -> Using {
        let mut pages = self.pages();
        let key = pages.next;
        pages.next += 1;
        let by = Request::current();
        pages.uses.insert(
            key,
            Use {
                by,
                line,
                since: Instant::now(),
                alone,
            },
        );
        Using {
            book: self.clone(),
            key,
            holder: None,
        }
    }

    pub(super) fn wait(&self) -> Waiting<'_> {
        self.pages().waiting += 1;
        Waiting {
            book: self,
            since: Instant::now(),
        }
    }

    /// Awaits a turn that others may be holding up, those of older generations not for long.
    pub(super) async fn turn<T>(&self, line: Line, wait: impl Future<Output = T>) -> T {
        let mut wait = std::pin::pin!(wait);
        loop {
            match tokio::time::timeout(PATIENCE, &mut wait).await {
                Ok(turn) => return turn,
                Err(_) => self.cut_off_older(line),
            }
        }
    }

    fn cut_off_older(&self, line: Line) {
        let Some(me) = Request::current() else { return };
        for held in self.pages().uses.values().filter(|held| held.alone) {
            let Some(by) = &held.by else { continue };
            if by.generation() < me.generation() {
                by.cut_off(|| {
                    let reason = format!(
                        "{by} held the database connection alone at {}, and {me} of the newer code has waited {} s for it at {line}",
                        held.line,
                        PATIENCE.as_secs()
                    );
                    tracing::warn!("cut off: {reason}");
                    reason
                });
            }
        }
    }

    pub(super) fn holders(&self) -> Vec<Holder> {
        let pages = self.pages();
        pages.uses.values().take(NAMED).map(Use::holder).collect()
    }

    /// How many wait now, and the longest wait there has been.
    pub(super) fn waits(&self) -> (usize, Duration) {
        let pages = self.pages();
        (pages.waiting, pages.longest_wait)
    }

    /// A statement was told that its connection ends. Whoever reads the socket sees only that it closed, perhaps
    /// before and perhaps after.
    pub(super) fn heard(&self, last_words: String) {
        let mut pages = self.pages();
        match pages.last_loss.take() {
            Some((reason, at)) if at.elapsed() < JUST_NOW => {
                if let Some(times) = pages.losses.get_mut(&reason) {
                    *times -= 1;
                }
                pages.losses.retain(|_, times| *times > 0);
                *pages.losses.entry(last_words).or_default() += 1;
            }
            _ => pages.last_words = Some((last_words, Instant::now())),
        }
    }

    /// A connection has ended by itself. Returns the reason in the best words there are.
    pub(super) fn lost(&self, reason: String) -> String {
        let mut pages = self.pages();
        let now = Instant::now();
        let reason = match pages.last_words.take() {
            Some((said, at)) if at.elapsed() < JUST_NOW => said,
            _ => {
                pages.last_loss = Some((reason.clone(), now));
                reason
            }
        };
        *pages.losses.entry(reason.clone()).or_default() += 1;
        reason
    }

    pub(super) fn losses(&self) -> Vec<Loss> {
        let pages = self.pages();
        let losses = pages.losses.iter().map(|(reason, times)| Loss {
            reason: reason.clone(),
            times: *times,
        });
        losses.collect()
    }

    /// Refuses a request that would wait for itself: it is in a transaction of its own, or has a checkout.
    pub(super) fn refuse_nested(&self, line: Line) -> Result<(), DbError> {
        let inside = INSIDE.try_with(|held| {
            let mine = held
                .iter()
                .find(|(book, _)| std::ptr::eq(&raw const **book, self));
            mine.map(|(_, line)| *line)
        });
        let held = inside.ok().flatten().or_else(|| {
            let me = Request::current_if_it_holds()?;
            let pages = self.pages();
            let mine = pages
                .uses
                .values()
                .find(|held| held.alone && held.by.as_ref().is_some_and(|by| Arc::ptr_eq(by, &me)));
            mine.map(|held| held.line)
        });
        match held {
            None => Ok(()),
            Some(held) => Err(DbError::Nested {
                held: held.to_string(),
                asked: line.to_string(),
            }),
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // Counts and names: nothing under the lock can leave them half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Use {
    fn holder(&self) -> Holder {
        Holder {
            who: self
                .by
                .as_ref()
                .map_or_else(|| "no request".to_owned(), ToString::to_string),
            at: self.line.to_string(),
            for_ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            alone: self.alone,
        }
    }
}

impl Using {
    /// For a checkout: its request must not ask again while it has this.
    pub(super) fn hold_by_hand(&mut self) {
        self.holder = Request::current();
        if let Some(holder) = &self.holder {
            holder.set_holds(true);
        }
    }

    /// A statement of this use was told that its connection ends.
    pub(super) fn heard(&self, last_words: String) {
        self.book.heard(last_words);
    }

    /// Its connection takes no writes any more.
    pub(super) fn give_up(&self, refusal: String) {
        give_up(&self.book, refusal);
    }

    /// The holder has let go; what is left is cleaning up, and that is not waiting for itself.
    pub(super) fn let_go(&mut self) {
        if let Some(holder) = self.holder.take() {
            holder.set_holds(false);
        }
    }
}

impl Drop for Using {
    fn drop(&mut self) {
        self.let_go();
        self.book.pages().uses.remove(&self.key);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut pages = self.book.pages();
        pages.waiting -= 1;
        pages.longest_wait = pages.longest_wait.max(self.since.elapsed());
    }
}

/// Runs the inside of a transaction that began at `line`, on the connection of `book`.
pub(super) fn inside<F: Future>(
    book: &Arc<Book>,
    line: Line,
    work: F,
) -> impl Future<Output = F::Output> {
    let mut held = INSIDE.try_with(Clone::clone).unwrap_or_default();
    held.push((book.clone(), line));
    INSIDE.scope(held, work)
}

//! What the reload loop knows from one operation to the next, and every way in which that changes.
//!
//! The loop asks for the [`Next`] operation, does it, and says here how it came out. Nothing else is remembered
//! between two operations. Refuses to do anything itself: no file, no process and no clock, so that a test can drive it
//! through any order of events. `M` is an artifact and how it was made, `E` the entry of an opened library.

#[cfg(test)]
mod model;

use std::mem::take;

use super::{saved::Sorted, watch::Changes};

/// See the module.
pub(super) struct State<M, E> {
    /// Saved, and not sorted yet.
    saved: Changes,
    /// A build through cargo was asked for.
    asked: bool,
    /// Files that the app reads as it runs, and that open pages have not followed yet.
    read: Changes,
    /// Migrations that are not applied yet.
    schema: bool,
    /// What is not built yet.
    order: Option<Order>,
    /// Built, and not loaded yet.
    built: Option<M>,
    /// The host was built too, and must be restarted.
    restart: bool,
    /// A library that is opened must be started now.
    start: bool,
    /// The schema has changed: what was refused may fit now.
    again: bool,
    latest: Latest<M>,
    published: Published<M, E>,
    /// The build before this one was cancelled.
    cancelled: bool,
}

/// A build that is due.
#[derive(Clone, Default)]
pub(super) struct Order {
    pub(super) changes: Changes,
    /// Somebody asked for cargo.
    pub(super) asked: bool,
}

/// How the last build came out.
enum Latest<M> {
    /// There was none.
    Unbuilt,
    DoesNotCompile,
    /// The host has changed too: the app does not fit this process.
    NeedsRestart(M),
    /// It compiles, and is not where the loader looks: not yet, or it could not be put there.
    NotPublished,
    /// What became of it says [`Published`].
    Published,
}

/// What became of the library whose bytes were published last.
#[derive(Default)]
enum Published<M, E> {
    #[default]
    Nothing,
    /// It cannot be called; the same bytes never can.
    Refused(String),
    /// It is opened, and `app()` has not succeeded yet.
    NotStarted {
        made: M,
        entry: E,
    },
    Live,
}

/// What the loop does next.
pub(super) enum Next<M, E> {
    /// Open pages follow these files; nothing is built for them.
    Refresh(Changes),
    Migrate,
    Build(Order),
    Restart(M),
    Load(M),
    Start {
        made: M,
        entry: E,
    },
    Wait,
}

/// How loading came out.
pub(super) enum Loaded<E> {
    New(E),
    /// The bytes are those published before.
    Same,
    Refused(String),
    NotPublished(String),
}

/// What there is to tell once a library is loaded. A start follows by itself.
pub(super) enum Verdict<M> {
    Starts,
    Unchanged(M),
    Refused(String),
}

/// Where the app is while nothing happens.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Unbuilt,
    DoesNotCompile,
    Refused,
    Live,
}

impl<M: Clone, E: Copy> State<M, E> {
    /// Nothing is known, and a build is due that follows no save.
    pub(super) fn new() -> Self {
        Self {
            saved: Changes::new(),
            asked: false,
            read: Changes::new(),
            schema: false,
            order: Some(Order::default()),
            built: None,
            restart: false,
            start: false,
            again: false,
            latest: Latest::Unbuilt,
            published: Published::Nothing,
            cancelled: false,
        }
    }

    /// Files were saved; if there are none, somebody asked for a build.
    pub(super) fn saved(&mut self, mut changes: Changes) {
        self.asked |= changes.is_empty();
        self.saved.append(&mut changes);
    }

    /// The next operation, in the order in which none works on what another is about to change. `sort` is asked what
    /// saved files mean, and told whether it is certain what the app was made of.
    pub(super) fn next(&mut self, sort: impl FnOnce(Changes, bool) -> Sorted) -> Next<M, E> {
        self.sort(sort);
        if !self.read.is_empty() {
            return Next::Refresh(take(&mut self.read));
        }
        if take(&mut self.schema) {
            self.again = true;
            return Next::Migrate;
        }
        if take(&mut self.restart)
            && let Latest::NeedsRestart(made) = &self.latest
        {
            return Next::Restart(made.clone());
        }
        if let Some(made) = self.built.take() {
            return Next::Load(made);
        }
        // What is built is live before more is built: saves in a row must not keep each other from the page.
        if take(&mut self.start)
            && let Published::NotStarted { made, entry } = &self.published
        {
            let (made, entry) = (made.clone(), *entry);
            return Next::Start { made, entry };
        }
        if let Some(order) = self.order.take() {
            self.again = false; // what comes of it is started anyway
            return Next::Build(order);
        }
        match (&self.latest, &self.published) {
            _ if !take(&mut self.again) => Next::Wait,
            (Latest::NeedsRestart(made), _) => Next::Restart(made.clone()),
            (Latest::Published, Published::NotStarted { made, entry }) => Next::Start {
                made: made.clone(),
                entry: *entry,
            },
            _ => Next::Wait,
        }
    }

    fn sort(&mut self, sort: impl FnOnce(Changes, bool) -> Sorted) {
        let compiles = !matches!(self.latest, Latest::Unbuilt | Latest::DoesNotCompile);
        let certain = compiles && self.order.is_none();
        let Sorted {
            schema,
            mut build,
            mut read,
        } = sort(take(&mut self.saved), certain);
        self.schema |= schema;
        self.read.append(&mut read);
        let asked = take(&mut self.asked);
        if asked || !build.is_empty() {
            let order = self.order.get_or_insert_default();
            order.asked |= asked;
            order.changes.append(&mut build);
        }
    }

    /// Whether the build under way gives way to what was saved during it. `elsewhere`: it has begun to compile something
    /// other than the app, which may take minutes and would have to be done again. Of two builds in a row one ends.
    pub(super) fn may_cancel(
        &self,
        elsewhere: bool,
        sort: impl FnOnce(Changes, bool) -> Sorted,
    ) -> bool {
        let newer = || self.asked || !sort(self.saved.clone(), true).build.is_empty();
        !elsewhere && !self.cancelled && newer()
    }

    /// The build of `order` was cancelled and is still due.
    pub(super) fn build_cancelled(&mut self, mut order: Order) {
        self.cancelled = true;
        let due = self.order.get_or_insert_default();
        due.asked |= order.asked;
        due.changes.append(&mut order.changes);
    }

    pub(super) fn build_failed(&mut self) {
        self.cancelled = false;
        self.latest = Latest::DoesNotCompile;
    }

    pub(super) fn built(&mut self, made: M) {
        self.cancelled = false;
        self.latest = Latest::NotPublished;
        self.built = Some(made);
    }

    /// Built, and with it the host.
    pub(super) fn host_built(&mut self, made: M) {
        self.cancelled = false;
        self.latest = Latest::NeedsRestart(made);
        self.restart = true;
    }

    pub(super) fn loaded(&mut self, made: M, loaded: Loaded<E>) -> Verdict<M> {
        self.latest = Latest::Published;
        self.published = match (loaded, take(&mut self.published)) {
            (Loaded::New(entry), _) => Published::NotStarted { made, entry },
            (Loaded::Same, Published::NotStarted { entry, .. }) => {
                Published::NotStarted { made, entry }
            }
            (Loaded::Same, Published::Live | Published::Nothing) => {
                self.published = Published::Live;
                return Verdict::Unchanged(made);
            }
            (Loaded::Refused(why), _) | (Loaded::Same, Published::Refused(why)) => {
                self.published = Published::Refused(why.clone());
                return Verdict::Refused(why);
            }
            (Loaded::NotPublished(why), before) => {
                self.latest = Latest::NotPublished;
                self.published = before;
                return Verdict::Refused(why);
            }
        };
        self.start = true;
        Verdict::Starts
    }

    pub(super) fn started(&mut self) {
        self.published = Published::Live;
    }

    /// What is told once there is nothing to do.
    pub(super) fn rest(&self) -> Rest {
        match (&self.latest, &self.published) {
            (Latest::Unbuilt, _) => Rest::Unbuilt,
            (Latest::DoesNotCompile, _) => Rest::DoesNotCompile,
            (Latest::Published, Published::Live) => Rest::Live,
            _ => Rest::Refused,
        }
    }
}

//! What the reload loop knows from one operation to the next, and every way in which that changes.
//!
//! The loop asks for the [`Next`] operation, does it, and says here how it came out. Nothing else is remembered
//! between two operations. Refuses to do anything itself: no file, no process and no clock, so that a test can drive it
//! through any order of events. `M` is an artifact and how it was made, `E` the entry of an opened library.

#[cfg(test)]
mod model;

use std::mem::take;

use super::{saved::Classified, watch::Changes};

/// See the module.
pub(super) struct State<M, E> {
    /// Saved, and not sorted yet.
    saved: Changes,
    /// A build through cargo was asked for.
    build_requested: bool,
    /// Files that the app reads as it runs, and that open pages have not followed yet.
    runtime_files: Changes,
    /// Migrations that are not applied yet.
    schema: bool,
    /// What is not built yet.
    request: Option<BuildRequest>,
    /// Built, and not loaded yet.
    built: Option<M>,
    /// The host was built too, and must be restarted.
    restart: bool,
    /// A library that is opened must be started now.
    start: bool,
    /// The schema has changed: what was refused may fit now.
    retry: bool,
    last_build: LastBuild<M>,
    published: Published<M, E>,
    /// The build before this one was cancelled.
    cancelled: bool,
}

/// A build that is due.
#[derive(Clone, Default)]
pub(super) struct BuildRequest {
    pub(super) changes: Changes,
    /// Somebody asked for cargo.
    pub(super) by_cargo: bool,
}

/// How the last build came out.
enum LastBuild<M> {
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
        built: M,
        entry: E,
    },
    Live,
}

/// What the loop does next.
pub(super) enum Next<M, E> {
    /// Open pages follow these files; nothing is built for them.
    Refresh(Changes),
    Migrate,
    Build(BuildRequest),
    Restart(M),
    Load(M),
    Start {
        built: M,
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
pub(super) enum IdleState {
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
            build_requested: false,
            runtime_files: Changes::new(),
            schema: false,
            request: Some(BuildRequest::default()),
            built: None,
            restart: false,
            start: false,
            retry: false,
            last_build: LastBuild::Unbuilt,
            published: Published::Nothing,
            cancelled: false,
        }
    }

    /// Files were saved; if there are none, somebody asked for a build.
    pub(super) fn saved(&mut self, mut changes: Changes) {
        self.build_requested |= changes.is_empty();
        self.saved.append(&mut changes);
    }

    /// The next operation, in the order in which none works on what another is about to change. `sort` is asked what
    /// saved files mean, and told whether it is certain what the app was made of.
    pub(super) fn next(
        &mut self,
        classify: impl FnOnce(Changes, bool) -> Classified,
    ) -> Next<M, E> {
        self.classify(classify);
        if !self.runtime_files.is_empty() {
            return Next::Refresh(take(&mut self.runtime_files));
        }
        if take(&mut self.schema) {
            self.retry = true;
            return Next::Migrate;
        }
        if take(&mut self.restart)
            && let LastBuild::NeedsRestart(built) = &self.last_build
        {
            return Next::Restart(built.clone());
        }
        if let Some(built) = self.built.take() {
            return Next::Load(built);
        }
        // What is built is live before more is built: saves in a row must not keep each other from the page.
        if take(&mut self.start)
            && let Published::NotStarted { built, entry } = &self.published
        {
            let (built, entry) = (built.clone(), *entry);
            return Next::Start { built, entry };
        }
        if let Some(request) = self.request.take() {
            self.retry = false; // what comes of it is started anyway
            return Next::Build(request);
        }
        match (&self.last_build, &self.published) {
            _ if !take(&mut self.retry) => Next::Wait,
            (LastBuild::NeedsRestart(built), _) => Next::Restart(built.clone()),
            (LastBuild::Published, Published::NotStarted { built, entry }) => Next::Start {
                built: built.clone(),
                entry: *entry,
            },
            _ => Next::Wait,
        }
    }

    fn classify(&mut self, classify: impl FnOnce(Changes, bool) -> Classified) {
        let compiles = !matches!(
            self.last_build,
            LastBuild::Unbuilt | LastBuild::DoesNotCompile
        );
        let inputs_known = compiles && self.request.is_none();
        let Classified {
            schema,
            mut build,
            mut runtime_files,
        } = classify(take(&mut self.saved), inputs_known);
        self.schema |= schema;
        self.runtime_files.append(&mut runtime_files);
        let requested = take(&mut self.build_requested);
        if requested || !build.is_empty() {
            let request = self.request.get_or_insert_default();
            request.by_cargo |= requested;
            request.changes.append(&mut build);
        }
    }

    /// Whether the build under way gives way to what was saved during it. `elsewhere`: it has begun to compile something
    /// other than the app, which may take minutes and would have to be done again. Of two builds in a row one ends.
    pub(super) fn may_cancel(
        &self,
        beyond_app: bool,
        classify: impl FnOnce(Changes, bool) -> Classified,
    ) -> bool {
        let newer = || self.build_requested || !classify(self.saved.clone(), true).build.is_empty();
        !beyond_app && !self.cancelled && newer()
    }

    /// The build of `order` was cancelled and is still due.
    pub(super) fn build_cancelled(&mut self, mut request: BuildRequest) {
        self.cancelled = true;
        let due = self.request.get_or_insert_default();
        due.by_cargo |= request.by_cargo;
        due.changes.append(&mut request.changes);
    }

    pub(super) fn build_failed(&mut self) {
        self.cancelled = false;
        self.last_build = LastBuild::DoesNotCompile;
    }

    pub(super) fn built(&mut self, built: M) {
        self.cancelled = false;
        self.last_build = LastBuild::NotPublished;
        self.built = Some(built);
    }

    /// Built, and with it the host.
    pub(super) fn host_built(&mut self, built: M) {
        self.cancelled = false;
        self.last_build = LastBuild::NeedsRestart(built);
        self.restart = true;
    }

    pub(super) fn loaded(&mut self, built: M, loaded: Loaded<E>) -> Verdict<M> {
        self.last_build = LastBuild::Published;
        self.published = match (loaded, take(&mut self.published)) {
            (Loaded::New(entry), _) => Published::NotStarted { built, entry },
            (Loaded::Same, Published::NotStarted { entry, .. }) => {
                Published::NotStarted { built, entry }
            }
            (Loaded::Same, Published::Live | Published::Nothing) => {
                self.published = Published::Live;
                return Verdict::Unchanged(built);
            }
            (Loaded::Refused(why), _) | (Loaded::Same, Published::Refused(why)) => {
                self.published = Published::Refused(why.clone());
                return Verdict::Refused(why);
            }
            (Loaded::NotPublished(why), before) => {
                self.last_build = LastBuild::NotPublished;
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
    pub(super) fn idle_state(&self) -> IdleState {
        match (&self.last_build, &self.published) {
            (LastBuild::Unbuilt, _) => IdleState::Unbuilt,
            (LastBuild::DoesNotCompile, _) => IdleState::DoesNotCompile,
            (LastBuild::Published, Published::Live) => IdleState::Live,
            _ => IdleState::Refused,
        }
    }
}

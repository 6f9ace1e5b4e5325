//! The state machine of the reload loop.
//!
//! The loop asks for the [`Next`] operation, runs it, and reports the result here. All state that outlives an operation
//! is here. No I/O, no processes and no clock, so that a test can drive it through any order of events.
//! `M` is a finished build, `E` the entry point of a loaded library.

#[cfg(test)]
mod model;

use std::mem::take;

use super::{saved::Classified, watch::Changes};

/// See the module docs.
pub(super) struct LoopState<M, E> {
    /// Saved and not classified yet.
    saved: Changes,
    /// The user asked for a build through cargo.
    build_requested: bool,
    /// Saved files that the app reads at run time and that open pages do not show yet.
    runtime_files: Changes,
    /// Saved migrations are not applied yet.
    schema: bool,
    /// The build that is due.
    request: Option<BuildRequest>,
    /// Built and not loaded yet.
    built: Option<M>,
    /// The build changed the host too, so the host must restart.
    restart: bool,
    /// A loaded library is to be started now.
    start: bool,
    /// The schema has changed: a build whose macros asked the database, an app or a restart may succeed now.
    retry: bool,
    last_build: LastBuild<M>,
    published: Publication<M, E>,
    /// The previous build was cancelled, so the next one must not be.
    cancelled: bool,
}

/// A build that is due.
#[derive(Clone, Default)]
pub(super) struct BuildRequest {
    pub(super) changes: Changes,
    /// The user asked for cargo.
    pub(super) by_cargo: bool,
}

/// The result of the last build.
enum LastBuild<M> {
    /// Nothing has been built yet.
    Unbuilt,
    DoesNotCompile,
    /// The host has changed too, so the app does not fit this process.
    NeedsRestart(M),
    /// It compiles, but its library is not open: not yet, or the disk was full.
    NotOpened,
    /// Its library has been opened; [`Publication`] tells the rest.
    Publication,
}

/// What happened to the library that was published last.
#[derive(Default)]
enum Publication<M, E> {
    #[default]
    Nothing,
    /// It cannot be loaded, and never will be while its bytes are the same.
    Refused(String),
    /// It is loaded, and `app()` has not succeeded yet.
    NotStarted {
        built: M,
        entry: E,
    },
    Live,
}

/// What the loop does next.
pub(super) enum Next<M, E> {
    /// Open pages reload for these files; nothing is built.
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

/// The result of loading.
pub(super) enum Loaded<E> {
    New(E),
    /// The bytes are the same as those opened last.
    Same,
    Refused(String),
    /// Not its fault: the same bytes may be opened next time.
    NotOpened(String),
}

/// What to report after loading. [`LoopState::next`] returns the start that follows.
pub(super) enum Verdict<M> {
    Starts,
    Unchanged(M),
    Refused(String),
}

/// The state of the app while the loop has nothing to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum IdleState {
    Unbuilt,
    DoesNotCompile,
    Refused,
    Live,
}

impl<M: Clone, E: Copy> LoopState<M, E> {
    /// Nothing is built; the first build is due without a save.
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
            published: Publication::Nothing,
            cancelled: false,
        }
    }

    /// Files were saved. An empty set means that the user asked for a build.
    pub(super) fn saved(&mut self, mut changes: Changes) {
        self.build_requested |= changes.is_empty();
        self.saved.append(&mut changes);
    }

    /// The next operation. The order makes sure that no operation works on input which a later one changes: migrations
    /// come before builds, for example. `classify` gets the saved files, and whether the inputs of the app are known.
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
        // A finished build goes live before the next one begins; otherwise rapid saves would never reach the page.
        if take(&mut self.start)
            && let Publication::NotStarted { built, entry } = &self.published
        {
            let (built, entry) = (built.clone(), *entry);
            return Next::Start { built, entry };
        }
        if let Some(request) = self.request.take() {
            self.retry = false; // the build is started anyway
            return Next::Build(request);
        }
        match (&self.last_build, &self.published) {
            _ if !take(&mut self.retry) => Next::Wait,
            (LastBuild::DoesNotCompile, _) => Next::Build(BuildRequest::default()),
            (LastBuild::NeedsRestart(built), _) => Next::Restart(built.clone()),
            (LastBuild::Publication, Publication::NotStarted { built, entry }) => Next::Start {
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

    /// Whether to cancel the running build in favour of files saved since it began.
    ///
    /// `beyond_app`: it has begun to compile something other than the app, which may take minutes and would have to be
    /// done again. Two builds in a row are never cancelled, so that rapid saves cannot starve the page.
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
        self.last_build = LastBuild::NotOpened;
        self.built = Some(built);
    }

    /// The build succeeded and changed the host too.
    pub(super) fn host_built(&mut self, built: M) {
        self.cancelled = false;
        self.last_build = LastBuild::NeedsRestart(built);
        self.restart = true;
    }

    pub(super) fn loaded(&mut self, built: M, loaded: Loaded<E>) -> Verdict<M> {
        self.last_build = LastBuild::Publication;
        self.published = match (loaded, take(&mut self.published)) {
            (Loaded::New(entry), _) => Publication::NotStarted { built, entry },
            (Loaded::Same, Publication::NotStarted { entry, .. }) => {
                Publication::NotStarted { built, entry }
            }
            (Loaded::Same, Publication::Live | Publication::Nothing) => {
                self.published = Publication::Live;
                return Verdict::Unchanged(built);
            }
            (Loaded::Refused(why), _) | (Loaded::Same, Publication::Refused(why)) => {
                self.published = Publication::Refused(why.clone());
                return Verdict::Refused(why);
            }
            (Loaded::NotOpened(why), before) => {
                self.last_build = LastBuild::NotOpened;
                self.published = before;
                return Verdict::Refused(why);
            }
        };
        self.start = true;
        Verdict::Starts
    }

    pub(super) fn started(&mut self) {
        self.published = Publication::Live;
    }

    /// What to report while there is nothing to do.
    pub(super) fn idle_state(&self) -> IdleState {
        match (&self.last_build, &self.published) {
            (LastBuild::Unbuilt, _) => IdleState::Unbuilt,
            (LastBuild::DoesNotCompile, _) => IdleState::DoesNotCompile,
            (LastBuild::Publication, Publication::Live) => IdleState::Live,
            _ => IdleState::Refused,
        }
    }
}

//! Watches for saves, with notify: keeps the files that matter, and waits a few milliseconds until a save is complete.
//!
//! Decides what a save is. Reads do not count: otherwise rustc opening a source would start the next build.

// What is watched, and the links in there.
mod links;
mod places;

// Which files count.
mod filter;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use notify::{
    Config, Event, EventKind, RecommendedWatcher, Watcher,
    event::{CreateKind, MetadataKind, ModifyKind, RemoveKind, RenameMode},
};
use tokio::{
    sync::{Notify, mpsc},
    time::{self, timeout_at},
};

use super::{build::Inputs, cookies::Cookies, settings_saves::SettingsSaves};
use crate::config::{HEAD_FOLLOWS, Project};
use places::Places;

pub(super) use filter::{RUNTIME_FOLDERS, SETTINGS, undoes};

/// Editors save in steps (truncate, write, rename) and formatters run right after. Events less than this apart are one
/// save.
const SETTLE: Duration = Duration::from_millis(8);

/// `git commit -a` holds a lock while its editor is open. Migrations wait for its end, and other saves no longer than
/// this.
const GIT_LIMIT: Duration = Duration::from_secs(2);

/// A file last written longer ago than this was moved here, not saved just now.
const LONG_AGO: Duration = Duration::from_secs(10);

/// Changed files, relative to the root; those outside of it are absolute.
pub(crate) type Changes = BTreeSet<PathBuf>;

/// File names for display.
pub(crate) fn names(changes: &Changes) -> Vec<String> {
    changes
        .iter()
        .map(|file| file.display().to_string())
        .collect()
}

/// The latest save, for timing.
#[derive(Clone, Copy)]
pub(super) struct LastSave {
    pub(super) at: Instant,
    /// How long the watcher took to notice it.
    pub(super) detect: Option<Duration>,
}

impl LastSave {
    /// A save of these files, noticed now.
    pub(super) fn of(root: &Path, changes: &Changes) -> Self {
        Self {
            at: Instant::now(),
            detect: time_since_save(root, changes),
        }
    }
}

/// How long ago the newest of these files was written. `None` for an old file that was moved here.
fn time_since_save(root: &Path, changes: &Changes) -> Option<Duration> {
    let written = |file: &PathBuf| fs::metadata(root.join(file)).ok()?.modified().ok();
    let newest = changes.iter().filter_map(written).max()?;
    newest.elapsed().ok().filter(|ago| *ago < LONG_AGO)
}

/// A running watch.
pub(crate) struct Watch {
    events: mpsc::UnboundedReceiver<notify::Result<Event>>,
    /// Changes not returned yet. Kept here so that a cancelled `next` loses none.
    pending: Changes,
    /// Made since the last save that was returned. What has gone again by the next was a step of it: an editor's or a
    /// tool's own file, written and renamed over the source.
    newborn: Changes,
    places: Places,
    settings: SettingsSaves,
    /// Notified when `.dev`, or something in it, is deleted.
    cleaned: Arc<Notify>,
    cookies: Cookies,
    /// The last one that was seen.
    cookie: u64,
}

impl Watch {
    pub(crate) fn new(
        project: &Project,
        settings: SettingsSaves,
        cleaned: Arc<Notify>,
        cookies: Cookies,
    ) -> notify::Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let on_event = move |event: notify::Result<Event>| {
            if event.as_ref().map_or(true, is_change) {
                drop(sender.send(event)); // no receiver once the host is shutting down
            }
        };
        let config = Config::default().with_follow_symlinks(false);
        let watcher = RecommendedWatcher::new(on_event, config)?;
        let places = Places::new(project.clone(), watcher)?;
        // The settings were read before this watch began, and a save in between has gone unnoticed.
        settings.notice();
        Ok(Self {
            events,
            pending: Changes::new(),
            newborn: Changes::new(),
            places,
            settings,
            cleaned,
            cookie: cookies.so_far(),
            cookies,
        })
    }

    /// The last cookie such that every save before it was returned; `None` while some are not.
    pub(super) fn cookie(&self) -> Option<u64> {
        self.pending.is_empty().then_some(self.cookie)
    }

    /// Also watches what the app is built from, wherever it is: the folders of its path packages, and its inputs.
    pub(super) fn set_inputs(&mut self, packages: &BTreeSet<PathBuf>, inputs: &Inputs) {
        self.places.set_inputs(packages, inputs);
    }

    /// Waits for a save of sources and returns the changed files; passes saves of `.env` on. If `rebuild` is notified
    /// first, returns what has been saved so far, which may be nothing. `None`: something else came, perhaps a cookie.
    /// Cancel-safe.
    pub(crate) async fn next(&mut self, rebuild: &Notify) -> Option<Changes> {
        let (mut changes, asked) = tokio::select! {
            biased; // a cookie must not overtake a build that was asked for before it
            () = rebuild.notified() => (std::mem::take(&mut self.pending), true),
            changes = self.settled() => (changes, false),
        };
        self.pass_settings_on(&mut changes);
        (asked || !changes.is_empty()).then_some(changes)
    }

    /// Waits for `work`, and passes saves of `.env` on meanwhile. Other saves are kept for [`next`](Self::next).
    pub(super) async fn collect_during(&mut self, work: impl Future<Output = ()>) {
        let (mut work, mut others) = (pin!(work), Changes::new());
        loop {
            tokio::select! {
                () = &mut work => break,
                changes = self.settled() => others.extend(changes),
            }
            self.pass_settings_on(&mut others);
        }
        self.pending.extend(others);
    }

    fn pass_settings_on(&self, changes: &mut Changes) {
        if changes.remove(Path::new(SETTINGS)) {
            self.settings.notice();
        }
    }

    async fn settled(&mut self) -> Changes {
        let before = self.cookie;
        while self.pending.is_empty() && self.cookie == before {
            match self.events.recv().await {
                Some(event) => drop(self.record(event)),
                None => std::future::pending().await, // the watcher lives as long as `self`
            }
        }
        let since = time::Instant::now();
        let (mut quiet, mut git_at) = (since + SETTLE, None);
        loop {
            while let Ok(Some(event)) = timeout_at(quiet, self.events.recv()).await {
                if self.record(event) {
                    quiet = time::Instant::now() + SETTLE;
                }
            }
            let now = time::Instant::now();
            if now - since < GIT_LIMIT && self.places.git_is_at_work() {
                git_at = Some(now);
            }
            if git_at.is_none_or(|at| now - at >= HEAD_FOLLOWS) {
                break;
            }
            quiet = now + SETTLE;
        }
        let newborn = std::mem::take(&mut self.newborn);
        let mut changes = std::mem::take(&mut self.pending);
        changes.retain(|file| !newborn.contains(file) || self.places.has(file));
        changes
    }

    /// Records what has changed. Returns whether the event is part of a save.
    fn record(&mut self, event: notify::Result<Event>) -> bool {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!("saves may go unnoticed: {error}");
                return false;
            }
        };
        let mut found = Vec::new();
        if event.need_rescan() {
            found = self.places.rescan();
        }
        let (appears, disappears) = (is_appearance(event.kind), is_disappearance(event.kind));
        for path in &event.paths {
            if let Some(number) = self.cookies.number(path) {
                self.cookie = self.cookie.max(number);
                continue;
            }
            if disappears && self.places.is_in_host_folder(path) {
                self.cleaned.notify_one();
            }
            if appears || disappears {
                found.extend(self.places.came_or_went(path));
            }
            found.extend(self.places.changes_at(path, is_folder(event.kind, path)));
            if matches!(event.kind, EventKind::Create(_)) {
                let new = self.places.changes_at(path, true).into_iter();
                let new = new.filter(|name| !self.pending.contains(name));
                self.newborn.extend(new);
            }
        }
        let part_of_a_save = !found.is_empty();
        self.pending.extend(found);
        part_of_a_save
    }
}

/// Whether the event is more than a read. A new modification time counts: `touch` asks for a build.
fn is_change(event: &Event) -> bool {
    !matches!(
        event.kind,
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(MetadataKind::AccessTime))
    )
}

fn is_appearance(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(RenameMode::To))
    )
}

fn is_disappearance(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From))
    )
}

/// Whether a folder appeared or disappeared. If so, notify does not report the files in it.
fn is_folder(kind: EventKind, path: &Path) -> bool {
    match kind {
        EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder) => true,
        // It is gone, so its name is the only hint.
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) => path.extension().is_none(),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => path.is_dir(),
        _ => false,
    }
}

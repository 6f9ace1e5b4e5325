//! Tells which files were saved: notify, filtered to what a build can depend on, settled for a few milliseconds.
//!
//! Owns which changes count. Refuses editors' swap files, everything under `target`, and reads: rustc opening a
//! source would otherwise start the next build.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::CreateKind,
    event::MetadataKind, event::ModifyKind,
};
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

/// Editors save in steps (truncate, write, rename) and formatters follow at once: this much quiet makes it one change.
const SETTLE: Duration = Duration::from_millis(8);

pub(super) const FOLDERS: [&str; 4] = ["app_lib", "shared", "host", MIGRATIONS];
/// A file written before this was not saved just now.
const LONG_AGO: Duration = Duration::from_secs(10);

const ROOT_FILES: [&str; 4] = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", SETTINGS];

/// No source of the app's, but of the schema it runs on.
pub(super) const MIGRATIONS: &str = "migrations";

/// Settings are no source: a save of theirs is told to whoever reads them, and builds nothing.
pub(super) const SETTINGS: &str = ".env";

/// Changed files, relative to the root.
pub(crate) type Changes = BTreeSet<PathBuf>;

/// As they are shown.
pub(crate) fn names(changes: &Changes) -> Vec<String> {
    changes
        .iter()
        .map(|file| file.display().to_string())
        .collect()
}

/// How long ago the newest of these files was written. An old file that was moved here says nothing.
pub(super) fn since_saved(root: &Path, changes: &Changes) -> Option<Duration> {
    let written = |file: &PathBuf| fs::metadata(root.join(file)).ok()?.modified().ok();
    let newest = changes.iter().filter_map(written).max()?;
    newest.elapsed().ok().filter(|ago| *ago < LONG_AGO)
}

/// A running watch.
pub(crate) struct Watch {
    saved: mpsc::UnboundedReceiver<PathBuf>,
    /// Seen and not yet returned: kept here, so that a cancelled `next` loses nothing.
    pending: Changes,
    /// Sources that lie elsewhere, as `include_str!("../../README.md")` names one.
    followed: Followed,
    /// Ends the watch when dropped, and with it `saved`.
    watcher: RecommendedWatcher,
    root: PathBuf,
    /// Rung when the file of the settings is saved.
    settings_saved: Arc<Notify>,
}

type Followed = Arc<Mutex<BTreeSet<PathBuf>>>;

impl Watch {
    pub(crate) fn new(root: &Path, settings_saved: Arc<Notify>) -> notify::Result<Self> {
        let (sender, saved) = mpsc::unbounded_channel();
        let (base, followed) = (root.to_owned(), Followed::default());
        let also = followed.clone();
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<Event>| match event {
                // Nobody receives while the host ends.
                Ok(event) => {
                    let also = also.lock().unwrap_or_else(PoisonError::into_inner);
                    changed(&event, &base, &also).for_each(|path| drop(sender.send(path)));
                }
                Err(error) => tracing::warn!("watching files: {error}"),
            })?;
        for folder in FOLDERS.map(|folder| root.join(folder)) {
            if folder.is_dir() {
                watcher.watch(&folder, RecursiveMode::Recursive)?;
            }
        }
        watcher.watch(root, RecursiveMode::NonRecursive)?;
        if root.join(".cargo").is_dir() {
            watcher.watch(&root.join(".cargo"), RecursiveMode::NonRecursive)?;
        }
        Ok(Self {
            saved,
            pending: Changes::new(),
            followed,
            watcher,
            root: root.to_owned(),
            settings_saved,
        })
    }

    /// What else the app is made of counts as well.
    pub(super) fn follow(&mut self, sources: &BTreeSet<PathBuf>) {
        let elsewhere: BTreeSet<PathBuf> = sources
            .iter()
            .filter(|file| file.is_relative() && !file.starts_with("target"))
            .filter(|file| !counts(file, false))
            .cloned()
            .collect();
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        for file in elsewhere.difference(&followed) {
            // Its folder: an editor that replaces the file would take the watch on it away.
            let folder = self.root.join(file);
            let folder = folder.parent().unwrap_or(&self.root);
            let watched =
                FOLDERS.iter().any(|known| file.starts_with(known)) || folder == self.root;
            if !watched && let Err(error) = self.watcher.watch(folder, RecursiveMode::NonRecursive)
            {
                tracing::warn!("cannot watch {}: {error}", folder.display());
            }
        }
        *followed = elsewhere;
    }

    /// Waits for a save of sources and returns what it comprises; a save of settings is told on the way. When `rebuild`
    /// rings, that is what has been saved so far, and may be nothing. Cancel-safe.
    pub(crate) async fn next(&mut self, rebuild: &Notify) -> Changes {
        loop {
            let (mut changes, asked) = tokio::select! {
                changes = self.settled() => (changes, false),
                () = rebuild.notified() => (std::mem::take(&mut self.pending), true),
            };
            self.tell_settings(&mut changes);
            if asked || !changes.is_empty() {
                return changes;
            }
        }
    }

    /// Waits for `work`, and tells a save of settings meanwhile. What else is saved is left for [`next`](Self::next).
    pub(super) async fn meanwhile(&mut self, work: impl Future<Output = ()>) {
        let (mut work, mut others) = (pin!(work), Changes::new());
        loop {
            tokio::select! {
                () = &mut work => break,
                changes = self.settled() => others.extend(changes),
            }
            self.tell_settings(&mut others);
        }
        self.pending.extend(others);
    }

    fn tell_settings(&self, changes: &mut Changes) {
        if changes.remove(Path::new(SETTINGS)) {
            self.settings_saved.notify_one();
        }
    }

    async fn settled(&mut self) -> Changes {
        if self.pending.is_empty() {
            match self.saved.recv().await {
                Some(first) => drop(self.pending.insert(first)),
                None => std::future::pending().await, // the watcher lives as long as `self`
            }
        }
        while let Ok(Some(more)) = timeout(SETTLE, self.saved.recv()).await {
            self.pending.insert(more);
        }
        std::mem::take(&mut self.pending)
    }
}

/// The files of an event that count.
fn changed(
    event: &Event,
    base: &Path,
    followed: &BTreeSet<PathBuf>,
) -> impl Iterator<Item = PathBuf> {
    // The system's queue ran over, and nobody knows what was in it.
    let lost = event.need_rescan().then(|| PathBuf::from(FOLDERS[0]));
    // Of a new folder: what was put into it before it was watched is not reported any more.
    let folder = matches!(event.kind, EventKind::Create(CreateKind::Folder));
    let files = event
        .paths
        .iter()
        .filter_map(move |path| path.strip_prefix(base).ok());
    files
        .filter(move |path| {
            is_change(event.kind) && (counts(path, folder) || followed.contains(*path))
        })
        .map(Path::to_owned)
        .chain(lost)
}

fn is_change(kind: EventKind) -> bool {
    !matches!(
        kind,
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(MetadataKind::AccessTime))
    )
}

/// Whether a build could come out differently after a change of this file.
fn counts(path: &Path, folder: bool) -> bool {
    let mut parts = path.components().map(Component::as_os_str);
    let Some(first) = parts.next().and_then(|part| part.to_str()) else {
        return false;
    };
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    let written_by_an_editor = name.ends_with('~')
        || name.starts_with(".#")
        || name.ends_with(".swp")
        || name.ends_with(".swx")
        || name.ends_with(".tmp")
        || name == "4913";
    if written_by_an_editor || path.components().any(|part| part.as_os_str() == "target") {
        return false;
    }
    match parts.next().and_then(|part| part.to_str()) {
        None => ROOT_FILES.contains(&first),
        Some("tests" | "benches") => false,
        Some(_) if first == MIGRATIONS => name.ends_with(".sql"),
        Some("config.toml") if first == ".cargo" => true,
        Some(_) => FOLDERS.contains(&first) && (folder || Path::new(name).extension().is_some()),
    }
}

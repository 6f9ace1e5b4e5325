//! What is watched: the project's folders, path packages and single files outside of them, and the targets of links.
//!
//! Each of these may be missing, or be deleted and created again, as `git checkout` of another branch does. So the
//! nearest existing parent folder is watched too.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::{
    filter::{self, FOLDERS, ROOT_FILES},
    links::Links,
};

/// The host's own folder. It holds no sources; it is watched because the host must notice when it is deleted.
const HOST_FOLDER: &str = ".dev";

/// The watched places and the watcher.
pub(super) struct Places {
    root: PathBuf,
    /// Folders of path packages outside of [`FOLDERS`], absolute.
    packages: BTreeSet<PathBuf>,
    /// Sources outside of all packages, such as `include_str!("../../README.md")`. Absolute.
    files: BTreeSet<PathBuf>,
    links: Links,
    watched: BTreeMap<PathBuf, RecursiveMode>,
    /// Dropping it stops watching.
    watcher: RecommendedWatcher,
}

impl Places {
    /// Watches the project at `root`.
    pub(super) fn new(root: &Path, watcher: RecommendedWatcher) -> notify::Result<Self> {
        let mut places = Self {
            root: root.to_owned(),
            packages: BTreeSet::new(),
            files: BTreeSet::new(),
            links: Links::default(),
            watched: BTreeMap::new(),
            watcher,
        };
        places.find_links();
        places.try_watch_all()?;
        Ok(places)
    }

    /// Sets what the app is built from: the folders of its path packages, and its sources as the compiler names them.
    pub(super) fn set_inputs(&mut self, packages: &BTreeSet<PathBuf>, sources: &BTreeSet<PathBuf>) {
        let builtin = self.project_folders();
        let packages: BTreeSet<PathBuf> = packages
            .iter()
            .filter(|package| !builtin.iter().any(|folder| package.starts_with(folder)))
            .cloned()
            .collect();
        if packages != self.packages {
            self.packages = packages;
            self.find_links();
        }
        self.files = sources
            .iter()
            // A file that a build script generated is not a source.
            .filter(|file| !filter::is_in_tool_folder(file))
            .map(|file| self.root.join(file))
            .filter(|file| self.names_of(file, false).is_empty())
            .collect();
        self.watch_all();
    }

    /// The relevant names of a changed path, itself or through links; relative to the root if inside it.
    pub(super) fn changes_at(&self, path: &Path, folder: bool) -> Vec<PathBuf> {
        let mut names = self.names_of(path, folder);
        if names.is_empty() && self.files.contains(path) {
            names.push(path.to_owned());
        }
        names.iter().map(|name| self.relative(name)).collect()
    }

    /// Updates the watches after `path` has appeared or disappeared, since a watched path may now be another folder.
    /// Returns the relevant places at or below `path`.
    pub(super) fn came_or_went(&mut self, path: &Path) -> Vec<PathBuf> {
        self.links.forget(path);
        if !self.changes_at(path, true).is_empty() {
            self.links.find(path);
        }
        let is_link = path.is_symlink();
        let wanted = self.wanted();
        let mut places = wanted.keys().chain(self.watched.keys());
        if is_link || places.any(|place| place.starts_with(path)) {
            self.unwatch_below(path);
            self.watch_all();
        }
        self.project_folders()
            .iter()
            .chain(&self.packages)
            .chain(&self.files)
            .filter(|place| place.starts_with(path) && *place != &self.root)
            .map(|place| self.relative(place))
            .collect()
    }

    /// Watches everything again after the system has lost events, so that anything may have changed and new folders are
    /// not watched yet. Returns every relevant place.
    pub(super) fn rescan(&mut self) -> Vec<PathBuf> {
        self.unwatch_below(Path::new("/"));
        self.find_links();
        self.watch_all();
        let everything = FOLDERS.iter().chain(&ROOT_FILES).map(PathBuf::from);
        let elsewhere = self.packages.iter().chain(&self.files);
        everything
            .chain(elsewhere.map(|place| self.relative(place)))
            .filter(|place| self.root.join(place).exists())
            .collect()
    }

    /// Whether this is the host's own folder or a direct child of it.
    pub(super) fn is_in_host_folder(&self, path: &Path) -> bool {
        let host_folder = self.root.join(HOST_FOLDER);
        path == host_folder || path.parent() == Some(&host_folder)
    }

    /// Whether something has this name now, be it a link that leads nowhere.
    pub(super) fn has(&self, name: &Path) -> bool {
        fs::symlink_metadata(self.root.join(name)).is_ok()
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }

    /// `path` itself and its names through links, if they are relevant.
    fn names_of(&self, path: &Path, folder: bool) -> Vec<PathBuf> {
        std::iter::once(path.to_owned())
            .chain(self.links.names_of(path))
            .filter(|name| self.is_relevant(name, folder))
            .collect()
    }

    fn is_relevant(&self, path: &Path, folder: bool) -> bool {
        if let Ok(path) = path.strip_prefix(&self.root)
            && filter::in_project(path, folder)
        {
            return true;
        }
        // A package whose folder contains the project does not decide what is relevant inside the project.
        let inside =
            |package: &&PathBuf| !(path.starts_with(&self.root) && self.root.starts_with(package));
        self.packages.iter().filter(inside).any(|package| {
            path.strip_prefix(package)
                .is_ok_and(|path| filter::in_package(path, folder))
        })
    }

    fn project_folders(&self) -> [PathBuf; FOLDERS.len()] {
        FOLDERS.map(|folder| self.root.join(folder))
    }

    fn find_links(&mut self) {
        let folders = self.project_folders();
        let files = ROOT_FILES.map(|file| self.root.join(file));
        let all = folders.iter().chain(&self.packages).chain(&files);
        self.links.rescan(all);
    }

    /// Every existing folder that should be watched.
    fn wanted(&self) -> BTreeMap<PathBuf, RecursiveMode> {
        let mut deep: BTreeSet<PathBuf> = self.project_folders().into();
        let mut flat = BTreeSet::from([
            self.root.clone(),
            self.root.join(".cargo"),
            self.root.join(HOST_FOLDER),
        ]);
        let mut absent = BTreeSet::new();
        for package in &self.packages {
            flat.insert(package.clone());
            absent.insert(package.clone());
            // Its subfolders one by one, not the whole tree: its `target` may contain thousands of folders.
            let below = fs::read_dir(package).into_iter().flatten().flatten();
            deep.extend(
                below
                    .filter(|entry| {
                        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                        is_folder
                            && !filter::is_tool_folder(&entry.file_name())
                            && !self.root.starts_with(entry.path())
                    })
                    .map(|entry| entry.path()),
            );
        }
        for target in self.links.targets() {
            match target.is_dir() {
                true => drop(deep.insert(target.clone())),
                false => drop(absent.insert(target.clone())),
            }
        }
        absent.extend(self.files.iter().cloned());
        // For a file, its folder: when an editor replaces the file, a watch on the file itself is lost.
        let above = |place: &PathBuf| {
            place
                .ancestors()
                .skip(1)
                .find(|it| it.is_dir())
                .map(Path::to_owned)
        };
        flat.extend(absent.iter().chain(&deep).filter_map(above));
        let is_below_deep = |place: &PathBuf| place.ancestors().any(|it| deep.contains(it));
        flat.retain(|place| !is_below_deep(place));
        let deep = deep
            .iter()
            .map(|place| (place.clone(), RecursiveMode::Recursive));
        let flat = flat
            .into_iter()
            .map(|place| (place, RecursiveMode::NonRecursive));
        flat.chain(deep)
            .filter(|(place, _)| place.is_dir())
            .collect()
    }

    fn watch_all(&mut self) {
        if let Err(error) = self.try_watch_all() {
            tracing::warn!("saves may go unnoticed: {error}");
        }
    }

    fn try_watch_all(&mut self) -> notify::Result<()> {
        // Repeat: a folder may have appeared after `wanted` looked and before it was watched.
        for _ in 0..4 {
            let wanted = self.wanted();
            let stale = |place: &&PathBuf| !wanted.contains_key(*place);
            let stale: Vec<PathBuf> = self.watched.keys().filter(stale).cloned().collect();
            stale.iter().for_each(|place| self.unwatch_below(place));
            let missing: Vec<_> = wanted
                .into_iter()
                .filter(|(place, mode)| self.watched.get(place) != Some(mode))
                .collect();
            if missing.is_empty() {
                break;
            }
            for (place, mode) in missing {
                match self.watcher.watch(&place, mode) {
                    Ok(()) => drop(self.watched.insert(place, mode)),
                    Err(error) if is_gone(&error) => {}
                    Err(error) => return Err(error.add_path(place)),
                }
            }
        }
        Ok(())
    }

    /// Unwatches `path` and everything below it, since notify also removes the watches on subfolders.
    fn unwatch_below(&mut self, path: &Path) {
        let below: Vec<PathBuf> = self
            .watched
            .keys()
            .filter(|place| place.starts_with(path))
            .cloned()
            .collect();
        below.iter().for_each(|place| self.unwatch(place));
    }

    fn unwatch(&mut self, place: &Path) {
        self.watched.remove(place);
        if let Err(error) = self.watcher.unwatch(place) {
            tracing::debug!("{}: {error}", place.display()); // the folder is gone, and its watch with it
        }
    }
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

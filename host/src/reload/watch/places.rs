//! What is watched: the folders of path packages, the migrations, single files elsewhere, and the targets of links.
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
    filter::{self, ROOT_FILES},
    links::Links,
};
use crate::{
    config::{Project, packages},
    reload::build::Inputs,
};

/// The host's own folder. It holds no sources; it is watched because the host must notice when it is deleted.
const HOST_FOLDER: &str = ".dev";

/// The watched places and the watcher.
pub(super) struct Places {
    project: Project,
    /// Folders of path packages, absolute.
    packages: BTreeSet<PathBuf>,
    /// What the app is built from, as of the last call of [`set_inputs`](Self::set_inputs).
    inputs: Inputs,
    /// Those outside of all packages, such as `include_str!("../../README.md")`. Absolute.
    files: BTreeSet<PathBuf>,
    links: Links,
    watched: BTreeMap<PathBuf, RecursiveMode>,
    /// Dropping it stops watching.
    watcher: RecommendedWatcher,
}

impl Places {
    /// Watches the project.
    pub(super) fn new(project: Project, watcher: RecommendedWatcher) -> notify::Result<Self> {
        let mut places = Self {
            packages: packages::declared(project.workspace()),
            project,
            inputs: Inputs::default(),
            files: BTreeSet::new(),
            links: Links::default(),
            watched: BTreeMap::new(),
            watcher,
        };
        places.find_links();
        places.try_watch_all()?;
        Ok(places)
    }

    /// Sets what the app is built from: the folders of its path packages, and its inputs.
    pub(super) fn set_inputs(&mut self, packages: &BTreeSet<PathBuf>, inputs: &Inputs) {
        let moved = *packages != self.packages;
        if moved {
            self.packages = packages.clone();
            self.find_links();
        }
        // Asks the file system about each input, and most saves change none.
        if moved || *inputs != self.inputs {
            self.inputs = inputs.clone();
            self.files = self.files_elsewhere();
        }
        self.watch_all();
    }

    fn files_elsewhere(&self) -> BTreeSet<PathBuf> {
        let inputs = &self.inputs;
        inputs
            .files
            .iter()
            .chain(&inputs.script_reads)
            // A file that a build script generated is not a source.
            .filter(|file| !filter::is_in_tool_folder(file))
            .map(|file| self.project.root().join(file))
            .filter(|file| self.names_of(file, false).is_empty())
            .collect()
    }

    /// The relevant names of a changed path, itself or through links; relative to the root if inside it.
    pub(super) fn changes_at(&self, path: &Path, folder: bool) -> Vec<PathBuf> {
        let mut names = self.names_of(path, folder);
        if names.is_empty() && (self.files.contains(path) || self.project.is_head(path)) {
            names.push(path.to_owned());
        }
        names
            .iter()
            .map(|name| self.project.relative(name))
            .collect()
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
        self.folders()
            .iter()
            .chain(&self.packages)
            .chain(&self.files)
            .filter(|place| place.starts_with(path) && *place != self.project.root())
            .map(|place| self.project.relative(place))
            .collect()
    }

    /// Watches everything again after the system has lost events, so that anything may have changed and new folders are
    /// not watched yet. Returns every relevant place.
    pub(super) fn rescan(&mut self) -> Vec<PathBuf> {
        self.unwatch_below(Path::new("/"));
        self.find_links();
        self.watch_all();
        let (folders, files) = (self.folders(), self.root_files());
        let everything = folders.iter().chain(&files).chain(&self.packages);
        everything
            .chain(&self.files)
            .filter(|place| place.exists() && *place != self.project.root())
            .map(|place| self.project.relative(place))
            .collect()
    }

    /// Whether this is the host's own folder or a direct child of it.
    pub(super) fn is_in_host_folder(&self, path: &Path) -> bool {
        let host_folder = self.project.root().join(HOST_FOLDER);
        path == host_folder || path.parent() == Some(&host_folder)
    }

    /// Whether git is changing the files, in a repository whose branches matter.
    pub(super) fn git_is_at_work(&self) -> bool {
        let repository = self.project.repository();
        repository.is_some_and(|it| it.lock().is_some())
    }

    /// Whether something has this name now, be it a link that leads nowhere.
    pub(super) fn has(&self, name: &Path) -> bool {
        fs::symlink_metadata(self.project.root().join(name)).is_ok()
    }

    /// `path` itself and its names through links, if they are relevant.
    fn names_of(&self, path: &Path, folder: bool) -> Vec<PathBuf> {
        std::iter::once(path.to_owned())
            .chain(self.links.names_of(path))
            .filter(|name| self.is_relevant(name, folder))
            .collect()
    }

    fn is_relevant(&self, path: &Path, folder: bool) -> bool {
        filter::counts(&self.project, &self.packages, path, folder)
    }

    /// Folders of the project that need not be in a package.
    fn folders(&self) -> Vec<PathBuf> {
        filter::runtime_folders(&self.project)
            .chain(self.project.migrations().map(Path::to_owned))
            .collect()
    }

    fn root_files(&self) -> BTreeSet<PathBuf> {
        let roots = [self.project.root(), self.project.workspace()];
        roots
            .iter()
            .flat_map(|root| ROOT_FILES.map(|file| root.join(file)))
            .collect()
    }

    fn find_links(&mut self) {
        let (folders, files) = (self.folders(), self.root_files());
        let all = folders.iter().chain(&self.packages).chain(&files);
        self.links.rescan(all);
    }

    /// Every existing folder that should be watched.
    fn wanted(&self) -> BTreeMap<PathBuf, RecursiveMode> {
        let (root, workspace) = (self.project.root(), self.project.workspace());
        let mut deep: BTreeSet<PathBuf> = self.folders().into_iter().collect();
        let mut flat = BTreeSet::from([
            root.to_owned(),
            workspace.to_owned(),
            root.join(".cargo"),
            workspace.join(".cargo"),
            root.join(HOST_FOLDER),
        ]);
        let repository = self.project.repository();
        flat.extend(repository.map(|it| it.folder().to_owned()));
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
                            && !packages::is_tool_folder(&entry.file_name())
                            && !root.starts_with(entry.path())
                            && !workspace.starts_with(entry.path())
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
        let deep = deep.iter().cloned();
        let deep = deep.map(|place| (place, RecursiveMode::Recursive));
        let flat = flat.into_iter();
        let flat = flat.map(|place| (place, RecursiveMode::NonRecursive));
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

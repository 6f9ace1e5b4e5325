//! Where a project has its migrations, and how its files are named to a user. Reads no migration.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::style::StyleLine;

/// The migrations of a project.
#[derive(Clone, Debug)]
pub struct Source {
    /// The project. Files are shown relative to it.
    pub root: PathBuf,
    /// The folder of migrations, which may be missing. `None`: something else applies them.
    pub folder: Option<PathBuf>,
    /// The manifest that may say whose the migrations are, in `[workspace.metadata.host]`.
    pub manifest: PathBuf,
}

impl Source {
    /// Those in `migrations`, with the manifest beside that folder.
    #[must_use]
    pub fn in_folder(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            folder: Some(root.join("migrations")),
            manifest: root.join("Cargo.toml"),
        }
    }

    /// Whose migrations they are, if the manifest says so. Read again each time, since a message asks for that line.
    pub(crate) fn style(&self) -> Option<StyleLine> {
        StyleLine::of(&fs::read_to_string(&self.manifest).ok()?)
    }

    /// A path as it is shown: relative to the root if inside it.
    pub(crate) fn shown(&self, path: &Path) -> String {
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
        relative.display().to_string()
    }
}

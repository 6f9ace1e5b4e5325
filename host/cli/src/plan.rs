//! The change as a whole: shown before it is made, made at once, and taken back if a file cannot be written.

use std::{
    fs,
    path::{Path, PathBuf},
};

use similar::TextDiff;

use crate::{
    console::Console,
    failure::Failure,
    files::write,
    ledger::{self, Edit, Ledger},
    theirs::Edited,
};

/// What `hot init` is about to write.
pub(crate) struct Plan {
    root: PathBuf,
    /// New files in `dev/`, with their paths there.
    files: Vec<(&'static str, String)>,
    edits: Vec<Edited>,
}

impl Plan {
    pub(crate) fn new(root: &Path, files: Vec<(&'static str, String)>, edits: Vec<Edited>) -> Self {
        Self {
            root: root.to_owned(),
            files,
            edits,
        }
    }

    /// Lists the new files, and shows what changes in the user's.
    pub(crate) fn show(&self, console: &mut Console<'_>) -> Result<(), Failure> {
        for (file, _) in &self.files {
            console.say(format!("  new     dev/{file}"))?;
        }
        console.say(format!("  new     {}", ledger::FILE))?;
        for edited in &self.edits {
            let kind = if edited.before.is_some() {
                "changed"
            } else {
                "new    "
            };
            console.say(format!("  {kind} {}", edited.file))?;
        }
        for edited in &self.edits {
            console.say("")?;
            show_change(
                console,
                edited.file,
                edited.before.as_deref(),
                &edited.after,
            )?;
        }
        console.say("")
    }

    /// Writes all of it, or nothing.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        let folder = |file: &str| Some(file.rsplit_once('/')?.0.to_owned());
        let new_folders = self.edits.iter().filter_map(|edited| folder(edited.file));
        let ledger = Ledger {
            files: self
                .files
                .iter()
                .map(|(file, _)| (*file).to_owned())
                .collect(),
            folders: new_folders
                .filter(|folder| !self.root.join(folder).exists())
                .collect(),
            edit: self
                .edits
                .iter()
                .map(|edited| Edit::between(edited.file, edited.before.as_deref(), &edited.after))
                .collect(),
        };
        let written = self.write_all(&ledger);
        if written.is_err() {
            self.take_back(&ledger);
        }
        written
    }

    fn write_all(&self, ledger: &Ledger) -> Result<(), Failure> {
        write(&self.root.join(ledger::FILE), &ledger.to_text())?;
        for (file, text) in &self.files {
            write(&self.root.join("dev").join(file), text)?;
        }
        for edited in &self.edits {
            write(&self.root.join(edited.file), &edited.after)?;
        }
        Ok(())
    }

    /// As far as possible: the failure that led here is the one to report.
    fn take_back(&self, ledger: &Ledger) {
        for edited in &self.edits {
            let path = self.root.join(edited.file);
            drop(match &edited.before {
                Some(before) => fs::write(path, before),
                None => fs::remove_file(path),
            });
        }
        for folder in &ledger.folders {
            drop(fs::remove_dir(self.root.join(folder)));
        }
        // It did not exist.
        drop(fs::remove_dir_all(self.root.join("dev")));
    }
}

/// The change of a file, as a diff.
pub(crate) fn show_change(
    console: &mut Console<'_>,
    file: &str,
    before: Option<&str>,
    after: &str,
) -> Result<(), Failure> {
    let old = if before.is_some() { file } else { "/dev/null" };
    let diff = TextDiff::from_lines(before.unwrap_or_default(), after);
    let mut shown = diff.unified_diff();
    console.say(shown.header(old, file).to_string().trim_end())
}

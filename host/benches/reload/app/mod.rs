//! The applications that are edited: the sample of this workspace, and one as large as people have them.
//!
//! An app is files, and what each kind of edit replaces in them. An edit names a request and a marker with the number
//! of the round, so that an answer proves whose code has given it. Replacements are undone by the next of their kind:
//! an app does not grow over the rounds.

pub(crate) mod large;
pub(crate) mod sample;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use shared::BoxError;

/// What a user does between two saves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Another text in a handler's answer.
    Literal,
    /// Another type of a helper's parameter, and what its callers pass.
    Signature,
    /// A route with a handler that makes a query. The one that the round before has added goes.
    Route,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Literal, Self::Signature, Self::Route];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Literal => "literal",
            Self::Signature => "signature",
            Self::Route => "route",
        }
    }
}

/// Which app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// This workspace's.
    Sample,
    /// 20 resources with three handlers each.
    Large,
}

/// An app as it stands.
pub(crate) struct App {
    pub(crate) name: &'static str,
    /// Of a request that makes a query.
    pub(crate) query: &'static str,
    /// By path, below the root of a workspace; without any edit.
    pub(crate) files: BTreeMap<PathBuf, String>,
    pub(crate) change: fn(Kind, usize) -> Change,
    /// The round of the latest edit of each kind; 0 before the first.
    pub(crate) rounds: [usize; 3],
}

/// What an edit replaces, all of it in one file.
pub(crate) struct Change {
    pub(crate) path: String,
    pub(crate) marker: String,
    pub(crate) replacements: Vec<(&'static str, String)>,
}

/// One save: what a file holds then, and how its code is known by its answer.
pub(crate) struct Edit {
    pub(crate) kind: Kind,
    pub(crate) round: usize,
    file: PathBuf,
    text: String,
    pub(crate) path: String,
    pub(crate) marker: String,
}

/// Path of a handler that does nothing, in both apps.
pub(crate) const EMPTY: &str = "/api/empty";

impl App {
    /// The next save. Edits of the other kinds stay as they are.
    pub(crate) fn edit(&mut self, kind: Kind, round: usize) -> Result<Edit, BoxError> {
        self.rounds[kind as usize] = round;
        let change = (self.change)(kind, round);
        let (file, base) = self.place(&change)?;
        let mut text = base.clone();
        for (kind, round) in Kind::ALL.into_iter().zip(self.rounds) {
            let other = (self.change)(kind, round);
            if round == 0 || self.place(&other)?.0 != file {
                continue;
            }
            for (from, to) in &other.replacements {
                text = text.replace(from, to);
            }
        }
        Ok(Edit {
            kind,
            round,
            file: file.clone(),
            text,
            path: change.path,
            marker: change.marker,
        })
    }

    /// The file that holds everything which `change` replaces.
    fn place(&self, change: &Change) -> Result<(&PathBuf, &String), BoxError> {
        let holds =
            |text: &String| (change.replacements.iter()).all(|(from, _)| text.contains(from));
        let found = self.files.iter().find(|(_, text)| holds(text));
        found.ok_or_else(|| {
            let wanted = &change.replacements;
            format!("no file of the {} app holds all of {wanted:?}", self.name).into()
        })
    }

    /// Writes this app over the one in the workspace at `root`.
    pub(crate) fn install(&self, root: &Path) -> io::Result<()> {
        let sources = root.join("app_lib/src");
        if sources.exists() {
            fs::remove_dir_all(&sources)?;
        }
        for (file, text) in &self.files {
            let file = root.join(file);
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(file, text)?;
        }
        Ok(())
    }
}

impl Edit {
    /// Saves it.
    pub(crate) fn write(&self, root: &Path) -> io::Result<()> {
        fs::write(root.join(&self.file), &self.text)
    }
}

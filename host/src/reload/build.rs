//! What the compiler makes of a save: an artifact, or diagnostics.
//!
//! Two ways to the same library. cargo knows everything, and needs a tenth of a second or two to find out that only
//! the app has changed. rustc alone, with the command that cargo ran last, is enough while that is known already.
//! Whatever leaves a doubt is cargo's. A build failure is an outcome and not an error.
//! Dropping the future of a build ends its compilers.

// rustc alone: the command that cargo ran, and for which saves it stands.
mod captured;
mod invocation;

// cargo, and what it says.
mod cargo;

// What both are made of: a message, a process.
mod diagnostic;
mod group;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use captured::Captured;
use serde::Serialize;

pub(crate) use cargo::Progress;
pub(crate) use diagnostic::{Diagnostic, worst};
pub(crate) use group::as_the_person_had_it;

/// The package whose library is reloaded.
const APP: &str = "app_lib";

/// What a build came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Everything compiled; here is the app.
    Built {
        artifact: PathBuf,
        warnings: Vec<Diagnostic>,
        by: Compiler,
    },
    /// Something did not; nothing was loaded.
    Failed { diagnostics: Vec<Diagnostic> },
}

/// Who was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compiler {
    Cargo,
    Rustc,
}

/// Builds the app again and again.
pub(super) struct Builder {
    root: PathBuf,
    /// The folders whose changes are told. A package elsewhere may change unseen.
    watched: Vec<PathBuf>,
    replays: bool,
    /// While there is no doubt about it.
    captured: Option<Captured>,
    sources: BTreeSet<PathBuf>,
}

impl Builder {
    /// Of the workspace at `root`; always through cargo unless it `replays`.
    pub(super) fn new(root: &Path, watched: &[&str], replays: bool) -> Self {
        Self {
            root: root.to_owned(),
            watched: watched.iter().map(|folder| root.join(folder)).collect(),
            replays,
            captured: None,
            sources: BTreeSet::new(),
        }
    }

    /// Builds what has come of `changes` since the build before, and tells `progress` how far it is.
    pub(super) async fn build(
        &mut self,
        changes: &BTreeSet<PathBuf>,
        progress: impl FnMut(Progress),
    ) -> Outcome {
        // Dropped before cargo starts: it takes its library away.
        self.captured
            .take_if(|captured| !captured.covers(&self.root, changes));
        if let Some(captured) = self.captured.as_mut().filter(|captured| captured.is_warm()) {
            if let Some(outcome) = captured.replay(&self.root).await {
                let out_dir = captured.out_dir().to_owned();
                self.follow(&out_dir);
                return outcome;
            }
            tracing::debug!("rustc alone left a doubt; asking cargo");
            self.captured = None;
        }
        let (outcome, seen) = cargo::build(&self.root, progress).await;
        if let Outcome::Built { artifact, .. } = &outcome {
            let out_dir = artifact.with_file_name("deps");
            self.follow(&out_dir);
            match &mut self.captured {
                Some(captured) => captured.compiled_by_cargo(&self.sources),
                None if self.replays => {
                    self.captured = Captured::new(&self.root, &seen, &self.watched);
                }
                None => {}
            }
        }
        outcome
    }

    /// Whether a save of what the app is made of would go to rustc alone.
    pub(super) fn is_warm(&self) -> bool {
        self.captured.as_ref().is_some_and(Captured::is_warm)
    }

    /// To be polled while nothing is saved: gets rustc alone ready, if it could be, and returns when it is. Cancel-safe.
    pub(super) async fn warm_up(&mut self) {
        if let Some(captured) = self
            .captured
            .as_mut()
            .filter(|captured| !captured.is_warm())
        {
            if captured.warm_up(&self.root).await {
                return;
            }
            self.captured = None; // until cargo has compiled the app once more
        }
        std::future::pending().await
    }

    /// The files that the app is made of, relative to the root. Those elsewhere are left out.
    pub(super) fn sources(&self) -> &BTreeSet<PathBuf> {
        &self.sources
    }

    fn follow(&mut self, out_dir: &Path) {
        if let Some(sources) = sources_in(&dep_info(out_dir), &self.root) {
            self.sources = sources;
        }
    }
}

/// Where rustc writes down what the app is made of.
fn dep_info(out_dir: &Path) -> PathBuf {
    out_dir.join(format!("{APP}.d"))
}

/// The sources in rustc's dep-info, relative to `root` where they lie in it; `None` if it cannot be read.
///
/// Its first line is `app_lib.d: app_lib/src/lib.rs app_lib/src/../../README.md`, with spaces in names escaped.
fn sources_in(dep_info: &Path, root: &Path) -> Option<BTreeSet<PathBuf>> {
    let text = fs::read_to_string(dep_info).ok()?;
    let (_, files) = text.lines().next()?.split_once(": ")?;
    let files = files.replace("\\ ", "\0");
    let canonical = fs::canonicalize(root).ok()?;
    let relative = |file: &str| {
        let file = root.join(file.replace('\0', " "));
        let file = fs::canonicalize(&file).unwrap_or(file);
        file.strip_prefix(&canonical)
            .map_or_else(|_| file.clone(), Path::to_owned)
    };
    Some(files.split_ascii_whitespace().map(relative).collect())
}

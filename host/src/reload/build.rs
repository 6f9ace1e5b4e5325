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

// What both come to know: what the app is made of, and how long that takes.
mod inputs;
mod pace;

// Which packages cargo looks into.
mod packages;

// What both are made of: a message, a process.
mod diagnostic;
mod group;
mod user;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Instant,
};

use captured::Captured;
use cargo::CargoUpdate;
use inputs::{dep_info, script_reads, sources_in};
use pace::Pace;
use serde::Serialize;

pub(crate) use cargo::Progress;
pub(crate) use diagnostic::{Diagnostic, worst};
pub(super) use inputs::Inputs;
pub(crate) use pace::{Kind, UnderWay};
pub(crate) use user::restore_user_environment;

/// The package whose library is reloaded.
pub(super) const APP: &str = "app_lib";

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

/// What is told of a build while it runs.
pub(super) enum Step {
    Progress(Progress),
    /// It compiles something else than was thought; more than the app, if it is of that kind.
    Estimate(UnderWay),
}

/// Builds the app again and again.
pub(super) struct Builder {
    root: PathBuf,
    replays: bool,
    /// While there is no doubt about it.
    captured: Option<Captured>,
    inputs: Inputs,
    /// Named by the manifests, and seen by cargo.
    packages: BTreeSet<PathBuf>,
    pace: Pace,
}

impl Builder {
    /// Of the workspace at `root`; always through cargo unless it `replays`.
    pub(super) fn new(root: &Path, replays: bool) -> Self {
        Self {
            root: root.to_owned(),
            replays,
            captured: None,
            inputs: Inputs::default(),
            packages: BTreeSet::new(),
            pace: Pace::default(),
        }
    }

    /// Looks which packages a build after these `changes` comes to, so that they are watched before it reads them.
    pub(super) fn look_for_packages(&mut self, changes: &BTreeSet<PathBuf>) {
        let is_source = |file: &PathBuf| file.extension().is_some_and(|it| it == "rs");
        if changes.is_empty() || !changes.iter().all(is_source) {
            self.packages.append(&mut packages::declared(&self.root));
        }
    }

    /// What a build of `changes` that begins now will probably compile, and for how long.
    pub(super) fn estimate(&self, changes: &BTreeSet<PathBuf>) -> UnderWay {
        let is_elsewhere = |file: &PathBuf| {
            let in_a_folder = file.components().count() > 1;
            in_a_folder && !file.starts_with(APP) && !self.inputs.contains(&self.root, file)
        };
        let replays =
            |captured: &Captured| captured.is_warm() && captured.covers(&self.root, changes);
        let kind = if changes.iter().any(is_elsewhere) {
            Kind::Dependencies
        } else if self.captured.as_ref().is_some_and(replays) {
            Kind::AppByRustc
        } else {
            Kind::App
        };
        self.under_way(kind, Instant::now())
    }

    fn under_way(&self, kind: Kind, since: Instant) -> UnderWay {
        UnderWay {
            kind,
            expected: self.pace.expected(kind),
            since,
        }
    }

    /// Builds what has come of `changes` since the build before, and tells each `step`.
    pub(super) async fn build(
        &mut self,
        changes: &BTreeSet<PathBuf>,
        mut step: impl FnMut(Step),
    ) -> Outcome {
        let UnderWay {
            mut kind, since, ..
        } = self.estimate(changes);
        // Dropped before cargo starts: it takes its library away.
        self.captured
            .take_if(|captured| !captured.covers(&self.root, changes));
        if let Some(captured) = self.captured.as_mut().filter(|captured| captured.is_warm()) {
            if let Some(outcome) = captured.replay(&self.root).await {
                let out_dir = captured.out_dir().to_owned();
                self.read_sources(&out_dir);
                return self.record_duration(outcome, kind, since);
            }
            tracing::debug!("rustc alone left a doubt; asking cargo");
            self.captured = None;
            kind = Kind::App;
            step(Step::Estimate(self.under_way(kind, since)));
        }
        let on_update = |update| match update {
            CargoUpdate::Progress(progress) => step(Step::Progress(progress)),
            CargoUpdate::Dependencies => {
                kind = Kind::Dependencies;
                step(Step::Estimate(self.under_way(kind, since)));
            }
        };
        let (outcome, mut output) = cargo::build(&self.root, on_update).await;
        if let Outcome::Built { .. } = &outcome {
            self.packages = packages::declared(&self.root);
        }
        self.packages.append(&mut output.packages);
        if let Outcome::Built { artifact, .. } = &outcome {
            let out_dir = artifact.with_file_name("deps");
            self.inputs.script_reads = match &output.script_out_dir {
                Some(out_dir) => {
                    script_reads(out_dir, &self.root).unwrap_or_else(|| vec![self.root.join(APP)])
                }
                None => Vec::new(),
            };
            self.read_sources(&out_dir);
            match &mut self.captured {
                Some(captured) => captured.compiled_by_cargo(&self.inputs.sources),
                None if self.replays => {
                    self.captured = Captured::new(&self.root, &output);
                }
                None => {}
            }
        }
        self.record_duration(outcome, kind, since)
    }

    /// One that failed says nothing of how long the next one takes.
    fn record_duration(&mut self, outcome: Outcome, kind: Kind, since: Instant) -> Outcome {
        if let Outcome::Built { .. } = outcome {
            self.pace.took(kind, since.elapsed());
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

    /// What the app was made of last.
    pub(super) fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// The folders of the path packages that cargo looks into.
    pub(super) fn packages(&self) -> &BTreeSet<PathBuf> {
        &self.packages
    }

    fn read_sources(&mut self, out_dir: &Path) {
        if let Some(sources) = sources_in(&dep_info(out_dir), &self.root) {
            self.inputs.sources = sources;
        }
    }
}

//! Compiles the app: the result is an artifact or diagnostics.
//!
//! There are two ways to the same library. cargo handles everything, but takes 100 to 200 ms to find out that only the
//! app has changed. If that is known already, rustc runs directly, with the command that cargo ran last. If in doubt,
//! cargo builds. A failed build is an outcome, not an error.
//! Dropping the future of a build kills its compilers.

// rustc without cargo: the command that cargo ran, and the saves for which it is still valid.
mod captured;
mod invocation;

// cargo and its output.
mod cargo;

// What both learn: the inputs of the app, and how long builds take.
mod inputs;
mod pace;

// The path packages that cargo reads.
mod packages;

// What both use: a compiler message, a process group.
mod group;
mod message;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Instant,
};

use captured::Captured;
use cargo::{CargoOutput, CargoUpdate};
use inputs::{dep_info, script_reads, sources_in};
use pace::Pace;

pub(super) use inputs::Inputs;

use crate::events::{BuildKind, Compiler, Diagnostic, Progress, UnderWay};

/// The package whose library is reloaded.
pub(super) const APP: &str = "app_lib";

/// The result of a build.
#[derive(Debug)]
pub(crate) enum BuildOutcome {
    /// Everything compiled; `artifact` is the app's library.
    Built {
        artifact: PathBuf,
        warnings: Vec<Diagnostic>,
        by: Compiler,
    },
    /// Something did not compile.
    Failed { diagnostics: Vec<Diagnostic> },
}

/// An update about a running build.
pub(super) enum Step {
    Progress(Progress),
    /// It compiles something other than first estimated: more than the app, or the app through cargo.
    Estimate(UnderWay),
}

/// Builds the app again and again.
pub(super) struct Builder {
    root: PathBuf,
    replays: bool,
    /// The command for rustc, while it is known to be valid.
    captured: Option<Captured>,
    inputs: Inputs,
    /// Folders of path packages, from the manifests and from cargo's output.
    packages: BTreeSet<PathBuf>,
    pace: Pace,
}

impl Builder {
    /// For the workspace at `root`. Without `replays` every build goes through cargo.
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

    /// Finds packages that these `changes` may have added, so that they are watched before the build reads them.
    pub(super) fn look_for_packages(&mut self, changes: &BTreeSet<PathBuf>) {
        let is_source = |file: &PathBuf| file.extension().is_some_and(|it| it == "rs");
        if changes.is_empty() || !changes.iter().all(is_source) {
            self.packages.append(&mut packages::declared(&self.root));
        }
    }

    /// What a build of `changes` will probably compile, and how long that should take.
    pub(super) fn estimate(&self, changes: &BTreeSet<PathBuf>) -> UnderWay {
        let is_elsewhere = |file: &PathBuf| {
            let in_a_folder = file.components().count() > 1;
            in_a_folder && !file.starts_with(APP) && !self.inputs.contains(&self.root, file)
        };
        let replays = |captured: &Captured| {
            captured.is_warm() && captured.covers(&self.root, &self.inputs, changes)
        };
        let kind = if changes.iter().any(is_elsewhere) {
            BuildKind::Dependencies
        } else if self.captured.as_ref().is_some_and(replays) {
            BuildKind::AppByRustc
        } else {
            BuildKind::App
        };
        self.under_way(kind, Instant::now())
    }

    fn under_way(&self, kind: BuildKind, since: Instant) -> UnderWay {
        UnderWay {
            kind,
            expected: self.pace.expected(kind),
            since,
        }
    }

    /// Builds after `changes` since the previous build, which are [estimated](Self::estimate) to be such a build. Calls
    /// `step` on every update.
    pub(super) async fn build(
        &mut self,
        changes: &BTreeSet<PathBuf>,
        estimate: UnderWay,
        mut step: impl FnMut(Step),
    ) -> BuildOutcome {
        let UnderWay {
            mut kind, since, ..
        } = estimate;
        let by_rustc = kind == BuildKind::AppByRustc;
        // Drop it before cargo starts: its drop deletes cargo's library, so that cargo compiles the app again.
        self.captured
            .take_if(|captured| !by_rustc && !captured.covers(&self.root, &self.inputs, changes));
        if let Some(captured) = self.captured.as_mut().filter(|_| by_rustc) {
            if let Some((outcome, sources)) = captured.replay(&self.root).await {
                self.inputs.sources = sources;
                return self.record_duration(outcome, kind, since);
            }
            tracing::debug!("rustc alone left a doubt; asking cargo");
            self.captured = None;
            kind = BuildKind::App;
            step(Step::Estimate(self.under_way(kind, since)));
        }
        let on_update = |update| match update {
            CargoUpdate::Progress(progress) => step(Step::Progress(progress)),
            CargoUpdate::Dependencies => {
                kind = BuildKind::Dependencies;
                step(Step::Estimate(self.under_way(kind, since)));
            }
        };
        let (outcome, mut output) = cargo::build(&self.root, on_update).await;
        if let BuildOutcome::Built { artifact, .. } = &outcome {
            self.packages = packages::declared(&self.root);
            self.read_inputs(&artifact.with_file_name("deps"), &output);
        }
        self.packages.append(&mut output.packages);
        self.record_duration(outcome, kind, since)
    }

    /// Remembers how long a successful build took. A failed one does not tell how long the next will take.
    fn record_duration(
        &mut self,
        outcome: BuildOutcome,
        kind: BuildKind,
        since: Instant,
    ) -> BuildOutcome {
        if let BuildOutcome::Built { .. } = outcome {
            self.pace.took(kind, since.elapsed());
        }
        outcome
    }

    /// Whether a save of the app's sources would be built by rustc without cargo.
    pub(super) fn is_warm(&self) -> bool {
        self.captured.as_ref().is_some_and(Captured::is_warm)
    }

    /// Prepares builds by rustc without cargo, if possible, and returns when they are ready. Poll it while nothing is
    /// being saved. Cancel-safe.
    pub(super) async fn warm_up(&mut self) {
        if let Some(captured) = self
            .captured
            .as_mut()
            .filter(|captured| !captured.is_warm())
        {
            if captured.warm_up(&self.root).await {
                return;
            }
            self.captured = None; // until cargo has compiled the app again
        }
        std::future::pending().await
    }

    /// What the last build of the app read.
    pub(super) fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// The folders of the path packages that cargo reads.
    pub(super) fn packages(&self) -> &BTreeSet<PathBuf> {
        &self.packages
    }

    /// After cargo has built in `out_dir`. If all inputs of the app are known now, rustc may run without cargo.
    fn read_inputs(&mut self, out_dir: &Path, output: &CargoOutput) {
        let sources = sources_in(&dep_info(out_dir), &self.root);
        let script_reads = match &output.script_out_dir {
            Some(out_dir) => script_reads(out_dir, &self.root),
            None => Some(Vec::new()),
        };
        let all_known = sources.is_some() && script_reads.is_some();
        if let Some(sources) = sources {
            self.inputs.sources = sources;
        }
        // A script that does not say what it reads may read anything.
        self.inputs.script_reads = script_reads.unwrap_or_else(|| vec![self.root.join(APP)]);
        if self.captured.is_none() && self.replays && all_known {
            self.captured = Captured::new(&self.root, output, &self.inputs.script_reads);
        }
    }
}

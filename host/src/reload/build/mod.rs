//! Compiles the app: the result is an artifact or diagnostics.
//!
//! There are two ways to the same library. cargo handles everything, but takes 100 to 200 ms to find out that only the
//! app has changed. If that is known already, rustc runs directly, with the command that cargo ran last. If in doubt,
//! cargo builds. A failed build is an outcome, not an error.
//! Dropping the future of a build kills its compilers.

// rustc without cargo: the commands that cargo ran, which crates they are for, and the saves for which they are valid.
mod captured;
mod chain;
mod compiler;
mod invocation;

// cargo and its output.
mod cargo;

// What both learn: the inputs of the app, and how long builds take.
mod inputs;
mod pace;

// What both use: a compiler message, a process group.
pub(super) mod group;
mod message;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Instant,
};

use captured::Captured;
use cargo::{CargoOutput, CargoUpdate};
use inputs::{files_in, script_reads};
use invocation::Invocation;
use pace::Pace;

pub(super) use inputs::Inputs;

use crate::{
    config::{Project, packages},
    events::{BuildKind, Compiler, Diagnostic, Progress, UnderWay},
};

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
    project: Project,
    replays: bool,
    /// The commands for rustc, while they are known to be valid.
    captured: Option<Captured>,
    /// What cargo last ran for each path package, since its configuration last changed.
    commands: Vec<Invocation>,
    inputs: Inputs,
    /// Folders of path packages according to the manifests, as of the last change of one.
    declared: BTreeSet<PathBuf>,
    /// The same and those in cargo's output. Forgets what is declared no more only once a build succeeds.
    packages: BTreeSet<PathBuf>,
    /// Those of them that only the app is built from: the host does not contain them.
    own: BTreeSet<PathBuf>,
    pace: Pace,
}

impl Builder {
    /// Without `replays` every build goes through cargo.
    pub(super) fn new(project: Project, replays: bool) -> Self {
        Self {
            project,
            replays,
            captured: None,
            commands: Vec::new(),
            inputs: Inputs::default(),
            declared: BTreeSet::new(),
            packages: BTreeSet::new(),
            own: BTreeSet::new(),
            pace: Pace::default(),
        }
    }

    /// Finds packages that these `changes` may have added, so that they are watched before the build reads them.
    pub(super) fn look_for_packages(&mut self, changes: &BTreeSet<PathBuf>) {
        let is_source = |file: &PathBuf| file.extension().is_some_and(|it| it == "rs");
        if changes.is_empty() || !changes.iter().all(is_source) {
            let workspace = self.project.workspace();
            self.own = packages::only_of(&self.project.app().folder, workspace);
            self.declared = packages::declared(workspace);
            self.packages.extend(self.declared.iter().cloned());
        }
    }

    /// What a build of `changes` will probably compile, and how long that should take.
    pub(super) fn estimate(&self, changes: &BTreeSet<PathBuf>) -> UnderWay {
        let is_elsewhere = |file: &PathBuf| {
            let path = self.project.root().join(file);
            let in_a_folder = file.components().count() > 1;
            let of_the_app = self.own.iter().any(|package| path.starts_with(package));
            in_a_folder && !of_the_app && !self.is_included(file)
        };
        let replays =
            |captured: &Captured| captured.is_warm() && captured.covers(&self.inputs, changes);
        let kind = if changes.iter().any(is_elsewhere) {
            BuildKind::Dependencies
        } else if self.captured.as_ref().is_some_and(replays) {
            BuildKind::AppByRustc
        } else {
            BuildKind::App
        };
        self.under_way(kind, Instant::now())
    }

    /// Whether it is an input that no package contains.
    fn is_included(&self, file: &Path) -> bool {
        let path = self.project.root().join(file);
        let in_a_package = self
            .packages
            .iter()
            .any(|package| path.starts_with(package));
        !in_a_package && self.inputs.contains(file)
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
        // Drop it before cargo starts: its drop deletes cargo's libraries, so that cargo compiles the crates again.
        self.captured
            .take_if(|captured| !by_rustc && !captured.covers(&self.inputs, changes));
        if let Some(captured) = self.captured.as_mut().filter(|_| by_rustc) {
            if let Some((outcome, mut sources)) = captured.replay(changes).await {
                self.inputs.files.append(&mut sources);
                return self.record_duration(outcome, kind, since);
            }
            tracing::debug!("rustc alone left a doubt; asking cargo");
            self.captured = None;
            kind = BuildKind::App;
            step(Step::Estimate(self.under_way(kind, since)));
        }
        if let Some(captured) = &mut self.captured {
            captured.built_by_cargo(changes);
        }
        let is_source =
            |file: &PathBuf| self.inputs.files.contains(file) && !file.ends_with("Cargo.toml");
        if changes.is_empty() || !changes.iter().all(is_source) {
            self.commands.clear(); // cargo's configuration may have changed, and with it the commands
        }
        let on_update = |update| match update {
            CargoUpdate::Progress(progress) => step(Step::Progress(progress)),
            CargoUpdate::Dependencies => {
                kind = BuildKind::Dependencies;
                step(Step::Estimate(self.under_way(kind, since)));
            }
        };
        let (outcome, mut output) = cargo::build(&self.project, &self.own, on_update).await;
        chain::remember(&mut self.commands, Invocation::all_in(&output.stderr));
        if let BuildOutcome::Built { .. } = &outcome {
            self.packages.clone_from(&self.declared);
            self.read_inputs(&output);
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
            if captured.warm_up().await {
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

    /// After cargo has built. If all inputs of the app are known now, rustc may run without cargo.
    fn read_inputs(&mut self, output: &CargoOutput) {
        let project = &self.project;
        let lists = output.dep_infos.iter();
        let files: BTreeSet<PathBuf> = lists
            .filter_map(|list| files_in(list, project.workspace(), project))
            .flatten()
            .collect();
        let all_known = !files.is_empty();
        let mut script_reads = Vec::new();
        for (package, out_dir) in &output.scripts {
            match self::script_reads(out_dir, package, project) {
                Some(mut reads) => script_reads.append(&mut reads),
                // cargo runs it on every save in there.
                None => script_reads.push(project.relative(package)),
            }
        }
        if all_known {
            self.inputs.files = files;
        }
        self.inputs.script_reads = script_reads;
        if self.captured.is_none() && self.replays && all_known {
            let reads = &self.inputs.script_reads;
            self.captured = Captured::new(project, &self.commands, output, reads);
        }
    }
}

//! rustc without cargo: repeats the commands that cargo ran for the app and for the crates that only the app is built
//! from, but only for the library that is loaded.
//!
//! The commands are valid as long as only known sources of these crates are saved and nothing else has changed:
//! manifests, lock file, configuration, toolchain, linked libraries, files that build scripts read. rustc's incremental
//! data depends on the command, and these leave out the rlib of the app, which only production needs. So they have
//! their own output folder and incremental data, created while nothing is being saved: see [`Captured::warm_up`].

use std::{
    collections::BTreeSet,
    env,
    env::consts::{DLL_EXTENSION, DLL_PREFIX},
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    BuildOutcome, Compiler, Diagnostic,
    cargo::CargoOutput,
    chain::Chain,
    compiler::{self, Compiled},
    group::Group,
    inputs::{Inputs, files_in},
    invocation::{Invocation, is_library_of},
};
use crate::{
    config::{Project, environment::TOOLCHAIN_FILES},
    reload::file_stamps::FileStamps,
};

/// How long nothing must have been saved before the warm-up begins, so that it does not compete with the next build.
const WARM_UP_DELAY: Duration = Duration::from_secs(1);

/// Commands that replace cargo as long as they are known to be valid.
pub(super) struct Captured {
    project: Project,
    /// The commands, with all output in `out_dir`.
    chain: Chain,
    /// What is known of each crate of the chain, in its order.
    crates: Vec<Crate>,
    /// A folder of its own, which also has the incremental data.
    out_dir: PathBuf,
    incremental: Incremental,
    /// Everything that goes into the app besides the sources of these crates.
    stamps: FileStamps,
    /// Warnings from other packages, which cargo would repeat on every build.
    warnings: Vec<Diagnostic>,
}

/// One crate of the chain.
struct Crate {
    /// What cargo made of it.
    cargo_artifacts: Vec<PathBuf>,
    sources: BTreeSet<PathBuf>,
    /// The warnings of its last compilation.
    warnings: Vec<Diagnostic>,
    /// The library in the output folder is older than the sources.
    stale: bool,
    /// Whether rustc has compiled it since cargo did.
    replayed: bool,
}

/// The state of the incremental data.
enum Incremental {
    /// Missing from this crate on, or made by another command.
    Cold(usize),
    /// rustc is making it for this crate. Dropping this kills rustc.
    Warming(usize, Group),
    Warm,
}

impl Captured {
    /// From all known `commands` for path packages, after a successful build whose scripts read `script_reads`. `None`
    /// if cargo has not compiled the app yet.
    pub(super) fn new(
        project: &Project,
        commands: &[Invocation],
        output: &CargoOutput,
        script_reads: &[PathBuf],
    ) -> Option<Self> {
        let chain = Chain::new(&project.app().crate_name, commands)?;
        let deps = chain.app().out_dir()?.to_owned();
        let out_dir = deps.with_file_name("replay");
        let stems: Vec<String> = chain.0.iter().map(Invocation::stem).collect();
        let crates = chain.0.iter().map(|command| {
            let name = command.crate_name();
            let warnings = output.warnings.iter().filter(|(of, _)| of == name);
            let folder = command.folder(project.workspace());
            Some(Crate {
                cargo_artifacts: ["rmeta", "rlib", DLL_EXTENSION]
                    .map(|kind| deps.join(format!("{DLL_PREFIX}{}.{kind}", command.stem())))
                    .into(),
                sources: files_in(&command.dep_info(&deps), folder, project)?,
                warnings: warnings.map(|(_, warning)| warning.clone()).collect(),
                stale: false,
                replayed: false,
            })
        });
        let crates: Vec<Crate> = crates.collect::<Option<_>>()?;
        let is_in_chain = |path: &PathBuf| stems.iter().any(|stem| is_library_of(path, stem));
        let stamps = FileStamps::of(
            chain
                .0
                .iter()
                .flat_map(Invocation::extern_paths)
                .filter(|path| !is_in_chain(path))
                .chain([chain.app().program().into()])
                .chain(cargo_configuration(project, &chain))
                .chain(script_reads.iter().map(|file| project.root().join(file))),
        );
        let of_the_chain = |name: &str| chain.0.iter().any(|one| one.crate_name() == name);
        let others = output.warnings.iter().filter(|(of, _)| !of_the_chain(of));
        Some(Self {
            project: project.clone(),
            warnings: others.map(|(_, warning)| warning.clone()).collect(),
            crates,
            chain: chain.moved_to(&out_dir),
            out_dir,
            incremental: Incremental::Cold(0),
            stamps,
        })
    }

    /// Whether the commands are valid after these `changes` of the last build's `inputs`. Not if there are none: then
    /// the user has asked for cargo. What a build script reads makes it run again, which only cargo does.
    pub(super) fn covers(&self, inputs: &Inputs, changes: &BTreeSet<PathBuf>) -> bool {
        let is_source = |file: &PathBuf| {
            self.crates.iter().any(|one| one.sources.contains(file))
                && self.project.root().join(file).exists()
                && !inputs.is_read_by_script(file)
        };
        !changes.is_empty() && changes.iter().all(is_source) && !self.stamps.have_changed()
    }

    /// Records that cargo builds these `changes`: the libraries in the output folder do not have them.
    pub(super) fn built_by_cargo(&mut self, changes: &BTreeSet<PathBuf>) {
        for one in &mut self.crates {
            one.stale |= !one.sources.is_disjoint(changes);
        }
    }

    /// Whether its incremental data is ready, so that it is faster than cargo.
    pub(super) fn is_warm(&self) -> bool {
        matches!(self.incremental, Incremental::Warm)
    }

    /// Compiles everything once, only for the incremental data. `false` if that failed, usually because the user has
    /// just saved code that does not compile. Cancel-safe: a compiler that runs continues, even through later saves.
    pub(super) async fn warm_up(&mut self) -> bool {
        loop {
            match &mut self.incremental {
                Incremental::Warm => return true,
                Incremental::Cold(next) => {
                    let next = *next;
                    let Some(one) = self.crates.get_mut(next) else {
                        self.incremental = Incremental::Warm;
                        return true;
                    };
                    if next == 0 {
                        tokio::time::sleep(WARM_UP_DELAY).await;
                    }
                    // rustc creates the folder only for incremental data, which the user may have turned off.
                    if fs::create_dir_all(&self.out_dir).is_err() {
                        return false;
                    }
                    one.stale = false;
                    let mut command = self.chain.0[next].niced_command(self.project.workspace());
                    match Group::spawn_silent(&mut command) {
                        Ok(group) => self.incremental = Incremental::Warming(next, group),
                        Err(_) => return false,
                    }
                }
                Incremental::Warming(at, group) => {
                    if !group.wait().await.is_ok_and(|status| status.success()) {
                        return false;
                    }
                    self.incremental = Incremental::Cold(*at + 1);
                }
            }
        }
    }

    /// Compiles what these `changes` affect, and returns the sources of the crates too. `None` if the result is
    /// unclear, so that cargo must build.
    pub(super) async fn replay(
        &mut self,
        changes: &BTreeSet<PathBuf>,
    ) -> Option<(BuildOutcome, BTreeSet<PathBuf>)> {
        // cargo's own lock: another cargo, for example `cargo host psql`, may be writing the files rustc would read.
        let lock = File::open(self.out_dir.with_file_name(".cargo-lock")).ok()?;
        lock.try_lock().ok()?;
        self.built_by_cargo(changes);
        let affected = self.chain.affected(|at| self.crates[at].stale);
        // Before any of them is compiled: a build that fails or is cancelled leaves the rest stale.
        for at in &affected {
            self.crates[*at].stale = true;
        }
        let (mut artifact, mut failed) = (None, false);
        for at in affected {
            let (one, command) = (&mut self.crates[at], &self.chain.0[at]);
            one.replayed = true;
            let compiled = compiler::run(command, &self.project).await?;
            let (library, diagnostics) = match compiled {
                Compiled::Library { library, warnings } => (library, warnings),
                Compiled::Failed { diagnostics } => {
                    failed = true;
                    one.warnings = diagnostics;
                    break;
                }
            };
            let folder = command.folder(self.project.workspace());
            let dep_info = command.dep_info(&self.out_dir);
            one.sources = files_in(&dep_info, folder, &self.project)?;
            one.warnings = diagnostics;
            one.stale = false;
            artifact = library;
        }
        let of_crates = self.crates.iter().flat_map(|one| &one.warnings);
        let diagnostics = self.warnings.iter().chain(of_crates).cloned().collect();
        let outcome = match (failed, artifact) {
            (true, _) => BuildOutcome::Failed { diagnostics },
            (false, artifact) => BuildOutcome::Built {
                artifact: artifact?,
                warnings: diagnostics,
                by: Compiler::Rustc,
            },
        };
        let sources = self
            .crates
            .iter()
            .flat_map(|one| one.sources.clone())
            .collect();
        Some((outcome, sources))
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        // cargo compares modification times. After `mv old.rs page.rs` it would consider its own library up to date,
        // although rustc has compiled newer code since.
        for one in self.crates.iter().filter(|one| one.replayed) {
            for artifact in &one.cargo_artifacts {
                if let Err(error) = fs::remove_file(artifact) {
                    tracing::debug!("{}: {error}", artifact.display()); // not of this kind, or already removed
                }
            }
        }
    }
}

/// Every file that cargo reads to decide what to run.
fn cargo_configuration(project: &Project, chain: &Chain) -> impl Iterator<Item = PathBuf> {
    let workspace = project.workspace();
    let manifests = ["Cargo.toml", "Cargo.lock"].map(|file| workspace.join(file));
    let toolchain = TOOLCHAIN_FILES.map(|file| project.root().join(file));
    // Of a package, and of the workspace that it may inherit from.
    let packages = chain.0.iter().filter_map(Invocation::package);
    let inherited = packages
        .flat_map(Path::ancestors)
        .map(|folder| folder.join("Cargo.toml"));
    let inherited: BTreeSet<PathBuf> = inherited.collect();
    let home = |variable, folder: &str| {
        let of_home = || env::home_dir().map(|home| home.join(folder));
        env::var_os(variable).map(PathBuf::from).or_else(of_home)
    };
    let cargo_home = home("CARGO_HOME", ".cargo");
    let rustup = home("RUSTUP_HOME", ".rustup").map(|home| home.join("settings.toml"));
    let above: Vec<PathBuf> = workspace
        .ancestors()
        .map(|folder| folder.join(".cargo"))
        .collect();
    let configs = above
        .into_iter()
        .chain(cargo_home)
        .flat_map(|folder| [folder.join("config.toml"), folder.join("config")]);
    manifests
        .into_iter()
        .chain(toolchain)
        .chain(inherited)
        .chain(rustup)
        .chain(configs)
}

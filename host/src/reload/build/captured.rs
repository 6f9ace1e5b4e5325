//! rustc without cargo: repeats the command that cargo ran for the app, but only for the library that is loaded.
//!
//! The command is valid as long as only known sources of the app are saved and nothing else has changed: manifests,
//! lock file, configuration, toolchain, linked libraries, files that the build script reads. rustc's incremental data
//! depends on the command, and this one leaves out the rlib, which only production needs. So it has its own output
//! folder and incremental data, created while nothing is being saved: see [`Captured::warm_up`].

use std::{
    collections::BTreeSet,
    env,
    env::consts::DLL_SUFFIX,
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::{
    APP, BuildOutcome, Compiler, Diagnostic,
    cargo::CargoOutput,
    group::Group,
    inputs::{Inputs, dep_info, sources_in},
    invocation::Invocation,
    message::diagnostic,
};
use crate::{config::environment::TOOLCHAIN_FILES, reload::file_stamps::FileStamps};

/// How long nothing must have been saved before the warm-up begins, so that it does not compete with the next build.
const WARM_UP_DELAY: Duration = Duration::from_secs(1);

/// A rustc command that replaces cargo as long as it is known to be valid.
pub(super) struct Captured {
    invocation: Invocation,
    /// Its own output folder, which also has its incremental data.
    out_dir: PathBuf,
    /// The library as built by cargo.
    cargo_artifact: PathBuf,
    incremental: Incremental,
    /// Everything that goes into the app besides its sources.
    stamps: FileStamps,
    /// Warnings from other packages, which cargo would repeat on every build.
    warnings: Vec<Diagnostic>,
    /// Whether rustc has compiled the app since cargo did.
    replayed: bool,
}

/// The state of the incremental data.
enum Incremental {
    /// Missing, or made by another command.
    Cold,
    /// rustc is making it. Dropping this kills rustc.
    Warming(Group),
    Warm,
}

/// One line of rustc's JSON output.
#[derive(Deserialize)]
#[serde(tag = "$message_type", rename_all = "snake_case")]
enum RustcMessage {
    Artifact {
        artifact: PathBuf,
        emit: String,
    },
    Diagnostic(cargo_metadata::diagnostic::Diagnostic),
    #[serde(other)]
    Other,
}

impl Captured {
    /// From the output of a successful build, whose script reads these files. `None` if cargo did not compile the app
    /// in it.
    pub(super) fn new(root: &Path, output: &CargoOutput, script_reads: &[PathBuf]) -> Option<Self> {
        let by_cargo = Invocation::of(APP, "cdylib", &output.stderr)?;
        let deps = root.join(by_cargo.value_of("--out-dir")?);
        let out_dir = deps.with_file_name("replay");
        let stamps = FileStamps::of(
            by_cargo
                .extern_paths()
                .chain([by_cargo.program().into()])
                .chain(cargo_configuration(root))
                .chain(script_reads.iter().cloned()),
        );
        Some(Self {
            invocation: by_cargo.for_crate_type("cdylib", &out_dir),
            out_dir,
            cargo_artifact: deps.join(format!("{}{APP}{DLL_SUFFIX}", env::consts::DLL_PREFIX)),
            incremental: Incremental::Cold,
            stamps,
            warnings: output.warnings.clone(),
            replayed: false,
        })
    }

    /// Whether the command is valid after these `changes` of the last build's `inputs`. Not if there are none: then the
    /// user has asked for cargo. What the build script reads makes it run again, which only cargo does.
    pub(super) fn covers(&self, root: &Path, inputs: &Inputs, changes: &BTreeSet<PathBuf>) -> bool {
        let is_source = |file: &PathBuf| {
            let path = root.join(file);
            inputs.sources.contains(file) && path.exists() && !inputs.is_read_by_script(&path)
        };
        !changes.is_empty() && changes.iter().all(is_source) && !self.stamps.have_changed()
    }

    /// Whether its incremental data is ready, so that it is faster than cargo.
    pub(super) fn is_warm(&self) -> bool {
        matches!(self.incremental, Incremental::Warm)
    }

    /// Compiles the whole app once, only for the incremental data. `false` if that failed, usually because the user has
    /// just saved code that does not compile. Cancel-safe: a compiler that runs continues, even through later saves.
    pub(super) async fn warm_up(&mut self, root: &Path) -> bool {
        if let Incremental::Cold = self.incremental {
            tokio::time::sleep(WARM_UP_DELAY).await;
            // rustc creates the folder only for incremental data, which the user may have turned off.
            if fs::create_dir_all(&self.out_dir).is_err() {
                return false;
            }
            match Group::spawn_silent(&mut self.invocation.niced_command(root)) {
                Ok(group) => self.incremental = Incremental::Warming(group),
                Err(_) => return false,
            }
        }
        if let Incremental::Warming(group) = &mut self.incremental {
            if !group.wait().await.is_ok_and(|status| status.success()) {
                return false;
            }
            self.incremental = Incremental::Warm;
        }
        true
    }

    /// Compiles the app, and returns its sources too. `None` if the result is unclear, so that cargo must build.
    pub(super) async fn replay(
        &mut self,
        root: &Path,
    ) -> Option<(BuildOutcome, BTreeSet<PathBuf>)> {
        // cargo's own lock: another cargo, for example `cargo host psql`, may be writing the files rustc would read.
        let lock = File::open(self.out_dir.with_file_name(".cargo-lock")).ok()?;
        lock.try_lock().ok()?;
        self.replayed = true;
        let (mut group, mut stdout, stderr) =
            Group::spawn(&mut self.invocation.command(root)).ok()?;
        let mut printed = Vec::new();
        let (messages, printed) =
            tokio::join!(read_messages(stderr), stdout.read_to_end(&mut printed));
        let (artifact, diagnostics) = messages?;
        printed.ok()?;
        let status = group.wait().await.ok()?;
        let sources = sources_in(&dep_info(&self.out_dir), root)?;

        let failed = diagnostics.iter().any(Diagnostic::is_error);
        let mut all = self.warnings.clone();
        all.extend(diagnostics);
        let outcome = match (status.code(), artifact, failed) {
            (Some(0), Some(artifact), false) => BuildOutcome::Built {
                artifact,
                warnings: all,
                by: Compiler::Rustc,
            },
            (Some(1), _, true) => BuildOutcome::Failed { diagnostics: all },
            _ => return None, // a compiler that crashed or was killed
        };
        Some((outcome, sources))
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        if !self.replayed {
            return;
        }
        // cargo compares modification times. After `mv old.rs page.rs` it would consider its own library up to date,
        // although rustc has compiled newer code since.
        if let Err(error) = fs::remove_file(&self.cargo_artifact) {
            tracing::debug!("{}: {error}", self.cargo_artifact.display()); // already removed
        }
    }
}

/// Reads rustc's messages: the library and the diagnostics. `None` if a line is not a message.
async fn read_messages(
    stderr: impl tokio::io::AsyncRead + Unpin,
) -> Option<(Option<PathBuf>, Vec<Diagnostic>)> {
    let (mut library, mut diagnostics) = (None, Vec::new());
    let mut lines = BufReader::new(stderr).lines();
    while let Some(line) = lines.next_line().await.ok()? {
        match serde_json::from_str(&line).ok()? {
            RustcMessage::Artifact { artifact, emit } if emit == "link" => {
                if artifact.to_string_lossy().ends_with(DLL_SUFFIX) {
                    library = Some(artifact);
                }
            }
            RustcMessage::Diagnostic(message) => diagnostics.extend(diagnostic(message)),
            RustcMessage::Artifact { .. } | RustcMessage::Other => {}
        }
    }
    Some((library, diagnostics))
}

/// Every file that cargo reads to decide what to run.
fn cargo_configuration(root: &Path) -> impl Iterator<Item = PathBuf> {
    let manifests = ["Cargo.toml", "Cargo.lock"]
        .into_iter()
        .chain(TOOLCHAIN_FILES)
        .map(|file| root.join(file));
    let app = root.join(APP).join("Cargo.toml");
    let home = |variable, folder: &str| {
        let of_home = || env::home_dir().map(|home| home.join(folder));
        env::var_os(variable).map(PathBuf::from).or_else(of_home)
    };
    let cargo_home = home("CARGO_HOME", ".cargo");
    let rustup = home("RUSTUP_HOME", ".rustup").map(|home| home.join("settings.toml"));
    let above: Vec<PathBuf> = root
        .ancestors()
        .map(|folder| folder.join(".cargo"))
        .collect();
    let configs = above
        .into_iter()
        .chain(cargo_home)
        .flat_map(|folder| [folder.join("config.toml"), folder.join("config")]);
    manifests.chain([app]).chain(rustup).chain(configs)
}

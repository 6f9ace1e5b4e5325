//! Runs cargo and parses its output.
//!
//! Always builds the whole workspace, without `-p`, so that features unify as they did for the running host. With
//! `-vv` cargo prints the rustc command, which is not available in any other way.

use std::{
    collections::{BTreeMap, BTreeSet},
    env::consts::DLL_SUFFIX,
    io,
    path::{Path, PathBuf},
};

use cargo_metadata::{
    Message, PackageId,
    camino::{Utf8Path, Utf8PathBuf},
};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use super::{
    BuildOutcome, Compiler, Diagnostic, Progress,
    group::{Group, compiler},
    message::diagnostic,
};
use crate::config::{App, Project};

/// An update from a running cargo.
pub(super) enum CargoUpdate {
    Progress(Progress),
    /// Something other than the app is being compiled. Sent once.
    Dependencies,
}

/// The parsed output of one cargo run.
#[derive(Default)]
pub(super) struct CargoOutput {
    /// All of stderr without progress bars.
    pub(super) stderr: String,
    /// Folders of the path packages that cargo built, including the app's.
    pub(super) packages: BTreeSet<PathBuf>,
    /// The build scripts of path packages: the folder of the package, and the script's `OUT_DIR`.
    pub(super) scripts: Vec<(PathBuf, PathBuf)>,
    /// Where cargo lists the files that it has built an artifact from.
    pub(super) dep_infos: Vec<PathBuf>,
    /// Warnings by crate. cargo repeats them on every build until they are fixed.
    pub(super) warnings: Vec<(String, Diagnostic)>,
    artifact: Option<PathBuf>,
    diagnostics: Vec<Diagnostic>,
}

/// Why cargo gave no result.
#[derive(Debug, thiserror::Error)]
enum BuildError {
    #[error("cannot run cargo: {0}; is it in PATH?")]
    Run(#[source] io::Error),
    #[error(
        "cargo built no library of {0} that can be loaded: its Cargo.toml needs \"cdylib\" in crate-type, and it must be among the default members"
    )]
    NoArtifact(String),
}

/// Builds the workspace, and calls `on_update` meanwhile. The packages in `own` are the app's.
pub(super) async fn build(
    project: &Project,
    own: &BTreeSet<PathBuf>,
    on_update: impl FnMut(CargoUpdate),
) -> (BuildOutcome, CargoOutput) {
    run(project, own, on_update).await.unwrap_or_else(|error| {
        let diagnostics = vec![Diagnostic::error(error.to_string(), format!("{error}\n"))];
        (BuildOutcome::Failed { diagnostics }, CargoOutput::default())
    })
}

async fn run(
    project: &Project,
    own: &BTreeSet<PathBuf>,
    on_update: impl FnMut(CargoUpdate),
) -> Result<(BuildOutcome, CargoOutput), BuildError> {
    let mut cargo = compiler("cargo", project.workspace());
    cargo
        .args([
            "build",
            "--profile",
            "hot",
            "-vv",
            "--message-format",
            "json-diagnostic-rendered-ansi",
        ])
        // stderr is parsed here, and colour codes would get in the way.
        .args(["--color", "never"])
        // Only the progress bar has the total. Passed as arguments and not as variables, which a cargo that is run by a
        // build script would inherit.
        .args(["--config", "term.progress.when='always'"])
        .args(["--config", "term.progress.width=120"]);
    let (mut group, stdout, stderr) = Group::spawn(&mut cargo).map_err(BuildError::Run)?;
    // Read both at once: cargo would block on a full pipe.
    let (output, stderr) = tokio::join!(
        read_messages(stdout, project),
        read_stderr(stderr, project.app(), own, on_update)
    );
    let mut output = output.map_err(BuildError::Run)?;
    output.stderr = stderr.map_err(BuildError::Run)?;
    let status = group.wait().await.map_err(BuildError::Run)?;

    let warnings = output.warnings.iter().map(|(_, warning)| warning.clone());
    let diagnostics = warnings.chain(output.diagnostics.drain(..)).collect();
    let outcome = match (status.success(), output.artifact.take()) {
        (true, Some(artifact)) => BuildOutcome::Built {
            artifact,
            warnings: diagnostics,
            by: Compiler::Cargo,
        },
        (true, None) => return Err(BuildError::NoArtifact(project.app().package.clone())),
        (false, _) => BuildOutcome::Failed {
            diagnostics: with_cargo_error(diagnostics, &output.stderr),
        },
    };
    Ok((outcome, output))
}

/// Adds cargo's own error: a faulty manifest or a missing dependency is only reported on stderr.
fn with_cargo_error(mut diagnostics: Vec<Diagnostic>, said: &str) -> Vec<Diagnostic> {
    if !diagnostics.iter().any(Diagnostic::is_error) {
        // Without the steps that `-vv` adds.
        let step = |line: &&str| {
            ["Fresh ", "Dirty ", "Compiling ", "Running `"]
                .iter()
                .any(|step| line.trim_start().starts_with(step))
        };
        let said: String = said
            .split_inclusive('\n')
            .filter(|line| !step(line))
            .collect();
        let message = said
            .lines()
            .find(|line| line.starts_with("error"))
            .unwrap_or("cargo failed")
            .to_owned();
        diagnostics.push(Diagnostic::error(message, said));
    }
    diagnostics
}

/// Reads cargo's stderr without the progress bars. cargo redraws the bar in place, so each ends with a carriage return.
async fn read_stderr(
    stderr: impl AsyncRead + Unpin,
    app: &App,
    own: &BTreeSet<PathBuf>,
    mut on_update: impl FnMut(CargoUpdate),
) -> io::Result<String> {
    let (mut said, mut latest, mut seen_dependency) = (String::new(), None, false);
    let mut reader = BufReader::new(stderr);
    let mut piece = Vec::new();
    while reader.read_until(b'\r', &mut piece).await? > 0 {
        let text = String::from_utf8_lossy(&piece);
        let (before, last) = text.split_at(text.rfind('\n').map_or(0, |end| end + 1));
        said.push_str(before);
        if !seen_dependency
            && before
                .lines()
                .any(|line| compiles_a_dependency(line, app, own))
        {
            seen_dependency = true;
            on_update(CargoUpdate::Dependencies);
        }
        match progress_in(last) {
            Some(now) if latest != Some(now) => {
                latest = Some(now);
                on_update(CargoUpdate::Progress(now));
            }
            Some(_) => {}
            None => said.push_str(last.trim_end_matches('\r')),
        }
        piece.clear();
    }
    Ok(said)
}

/// Parses `   Compiling serde v1.0.0` and `   Compiling domain v0.1.0 (/project/domain)`.
fn compiles_a_dependency(line: &str, app: &App, own: &BTreeSet<PathBuf>) -> bool {
    let compiled = line.trim_start().strip_prefix("Compiling ");
    compiled
        .and_then(|rest| rest.split_once(" v"))
        .is_some_and(|(package, version)| {
            let folder = version
                .split_once(" (")
                .and_then(|(_, rest)| rest.split_once(')'));
            package != app.package
                && !folder.is_some_and(|(folder, _)| own.contains(Path::new(folder)))
        })
}

/// Parses `    Building [====>     ] 12/345: serde, tokio`.
fn progress_in(bar: &str) -> Option<Progress> {
    let (_, counts) = bar
        .trim_start()
        .strip_prefix("Building [")?
        .split_once("] ")?;
    let (built, rest) = counts.trim_start().split_once('/')?;
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    Some(Progress {
        built: built.parse().ok()?,
        total: rest[..digits].parse().ok()?,
    })
}

async fn read_messages(
    stdout: impl AsyncRead + Unpin,
    project: &Project,
) -> io::Result<CargoOutput> {
    let mut output = CargoOutput::default();
    let app = &project.app().crate_name;
    let mut scripts = Vec::new();
    let mut folders: BTreeMap<PackageId, PathBuf> = BTreeMap::new();
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line) {
            Ok(Message::CompilerArtifact(built)) => {
                if !is_ours(&built.package_id) {
                    continue;
                }
                if let Some(folder) = built.manifest_path.parent() {
                    output.packages.insert(folder.into());
                    folders.insert(built.package_id, folder.into());
                }
                let files = built.filenames.iter().chain(&built.executable);
                output
                    .dep_infos
                    .extend(files.map(|file| file.with_extension("d").into()));
                if built.target.name == *app {
                    let library = |file: &&Utf8PathBuf| file.as_str().ends_with(DLL_SUFFIX);
                    let found = built.filenames.iter().find(library).map(Into::into);
                    output.artifact = found.or(output.artifact);
                }
            }
            Ok(Message::CompilerMessage(compiler)) => {
                // `-vv` also prints warnings from dependencies, which the user cannot fix here.
                let is_ours = is_ours(&compiler.package_id);
                if is_ours {
                    output
                        .packages
                        .extend(package_folder(&compiler.target.src_path));
                }
                let found = diagnostic(compiler.message, project)
                    .filter(|diagnostic| is_ours || diagnostic.is_error());
                match found {
                    Some(error) if error.is_error() => output.diagnostics.push(error),
                    Some(warning) => output
                        .warnings
                        .push((compiler.target.name.replace('-', "_"), warning)),
                    None => {}
                }
            }
            Ok(Message::BuildScriptExecuted(script)) => {
                scripts.push((script.package_id, script.out_dir));
            }
            Ok(_) => {}
            // Output of build scripts, which `-vv` prints, or messages of newer versions of cargo.
            Err(_) => tracing::trace!("cargo said: {line}"),
        }
    }
    let of_ours = scripts
        .into_iter()
        .filter_map(|(id, out_dir)| Some((folders.get(&id)?.clone(), out_dir.into())));
    output.scripts = of_ours.collect();
    Ok(output)
}

/// Whether it is a package on this disk, and not one that cargo has downloaded.
fn is_ours(package: &PackageId) -> bool {
    package.repr.starts_with("path+")
}

/// The folder of the package that a target's root file belongs to.
fn package_folder(source: &Utf8Path) -> Option<PathBuf> {
    let mut above = source.ancestors().skip(1);
    let folder = above.find(|folder| folder.join("Cargo.toml").is_file())?;
    Some(folder.into())
}

//! Runs cargo and parses its output.
//!
//! Always builds the whole workspace, without `-p`, so that features unify as they did for the running host. With
//! `-vv` cargo prints the rustc command, which is not available in any other way.

use std::{
    collections::BTreeSet,
    env::consts::DLL_SUFFIX,
    io,
    path::{Path, PathBuf},
};

use cargo_metadata::{Message, camino::Utf8Path};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use super::{
    APP, BuildOutcome, Compiler, Diagnostic, Progress,
    group::{Group, command},
    message::diagnostic,
};

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
    /// The `OUT_DIR` of the app's build script, if it has one.
    pub(super) script_out_dir: Option<PathBuf>,
    /// Warnings from packages other than the app. cargo repeats them on every build until they are fixed.
    pub(super) warnings: Vec<Diagnostic>,
    artifact: Option<PathBuf>,
    diagnostics: Vec<Diagnostic>,
}

/// Why cargo gave no result.
#[derive(Debug, thiserror::Error)]
enum BuildError {
    #[error("cannot run cargo: {0}; is it in PATH?")]
    Run(#[source] io::Error),
    #[error(
        "cargo built no library of {APP}: its Cargo.toml needs crate-type = [\"cdylib\", \"rlib\"]"
    )]
    NoArtifact,
}

/// Builds the workspace at `root`, and calls `on_update` meanwhile.
pub(super) async fn build(
    root: &Path,
    on_update: impl FnMut(CargoUpdate),
) -> (BuildOutcome, CargoOutput) {
    run(root, on_update).await.unwrap_or_else(|error| {
        let diagnostics = vec![Diagnostic::error(error.to_string(), format!("{error}\n"))];
        (BuildOutcome::Failed { diagnostics }, CargoOutput::default())
    })
}

async fn run(
    root: &Path,
    on_update: impl FnMut(CargoUpdate),
) -> Result<(BuildOutcome, CargoOutput), BuildError> {
    let mut cargo = command("cargo", root);
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
    let (output, stderr) = tokio::join!(read_messages(stdout), read_stderr(stderr, on_update));
    let mut output = output.map_err(BuildError::Run)?;
    output.stderr = stderr.map_err(BuildError::Run)?;
    let status = group.wait().await.map_err(BuildError::Run)?;

    let mut diagnostics = output.warnings.clone();
    diagnostics.append(&mut output.diagnostics);
    let outcome = match (status.success(), output.artifact.take()) {
        (true, Some(artifact)) => BuildOutcome::Built {
            artifact,
            warnings: diagnostics,
            by: Compiler::Cargo,
        },
        (true, None) => return Err(BuildError::NoArtifact),
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
    mut on_update: impl FnMut(CargoUpdate),
) -> io::Result<String> {
    let (mut said, mut latest, mut seen_dependency) = (String::new(), None, false);
    let mut reader = BufReader::new(stderr);
    let mut piece = Vec::new();
    while reader.read_until(b'\r', &mut piece).await? > 0 {
        let text = String::from_utf8_lossy(&piece);
        let (before, last) = text.split_at(text.rfind('\n').map_or(0, |end| end + 1));
        said.push_str(before);
        if !seen_dependency && before.lines().any(compiles_a_dependency) {
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

/// Parses `   Compiling serde v1.0.0`.
fn compiles_a_dependency(line: &str) -> bool {
    let compiled = line.trim_start().strip_prefix("Compiling ");
    let package = compiled.and_then(|rest| rest.split_once(" v"));
    package.is_some_and(|(package, _)| package != APP)
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

async fn read_messages(stdout: impl AsyncRead + Unpin) -> io::Result<CargoOutput> {
    let mut output = CargoOutput::default();
    let mut scripts = Vec::new();
    let mut app = None;
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line) {
            Ok(Message::CompilerArtifact(built)) => {
                if built.package_id.repr.starts_with("path+")
                    && let Some(folder) = built.manifest_path.parent()
                {
                    output.packages.insert(folder.into());
                }
                if built.target.name == APP {
                    let library = |file: &&cargo_metadata::camino::Utf8PathBuf| {
                        file.as_str().ends_with(DLL_SUFFIX)
                    };
                    let found = built.filenames.iter().find(library).map(Into::into);
                    output.artifact = found.or(output.artifact);
                    app = Some(built.package_id);
                }
            }
            Ok(Message::CompilerMessage(compiler)) => {
                // `-vv` also prints warnings from dependencies, which the user cannot fix here.
                let is_ours = compiler.package_id.repr.starts_with("path+");
                if is_ours {
                    output
                        .packages
                        .extend(package_folder(&compiler.target.src_path));
                }
                let diagnostic = diagnostic(compiler.message)
                    .filter(|diagnostic| is_ours || diagnostic.is_error());
                match compiler.target.name == APP
                    || diagnostic.as_ref().is_some_and(Diagnostic::is_error)
                {
                    true => output.diagnostics.extend(diagnostic),
                    false => output.warnings.extend(diagnostic),
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
    let script = scripts.into_iter().find(|(id, _)| Some(id) == app.as_ref());
    output.script_out_dir = script.map(|(_, folder)| folder.into());
    Ok(output)
}

/// The folder of the package that a target's root file belongs to.
fn package_folder(source: &Utf8Path) -> Option<PathBuf> {
    let mut above = source.ancestors().skip(1);
    let folder = above.find(|folder| folder.join("Cargo.toml").is_file())?;
    Some(folder.into())
}

//! Runs cargo and says what came out: an artifact, or diagnostics.
//!
//! One package selection for everything (the workspace, no `-p`), so that features unify as they did for the running
//! host. A build failure is an outcome and not an error. Dropping the future ends cargo and its compilers.

use std::{
    env::consts::DLL_SUFFIX,
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use cargo_metadata::{Message, diagnostic::DiagnosticLevel};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// The package whose library is reloaded.
const APP: &str = "app_lib";

/// What a build came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Everything compiled; here is the app.
    Built {
        artifact: PathBuf,
        warnings: Vec<Diagnostic>,
    },
    /// Something did not; nothing was loaded.
    Failed { diagnostics: Vec<Diagnostic> },
}

/// One message of the compiler, or of cargo itself.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Diagnostic {
    pub(crate) level: &'static str,
    pub(crate) message: String,
    /// As rustc renders it, with colour codes.
    pub(crate) rendered: String,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<usize>,
    pub(crate) column: Option<usize>,
}

/// How far a build is, as cargo counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Progress {
    pub(crate) built: usize,
    pub(crate) total: usize,
}

/// Why cargo could not be asked.
#[derive(Debug, thiserror::Error)]
enum BuildError {
    #[error("cannot run cargo: {0}; is it in PATH?")]
    Run(#[source] io::Error),
    #[error(
        "cargo built no library of {APP}: its Cargo.toml needs crate-type = [\"cdylib\", \"rlib\"]"
    )]
    NoArtifact,
}

/// Builds the workspace at `root` and tells `progress` how far it is.
pub(crate) async fn build(root: &Path, progress: impl FnMut(Progress)) -> Outcome {
    run_cargo(root, progress)
        .await
        .unwrap_or_else(|error| Outcome::Failed {
            diagnostics: vec![Diagnostic {
                level: "error",
                message: error.to_string(),
                rendered: format!("{error}\n"),
                file: None,
                line: None,
                column: None,
            }],
        })
}

async fn run_cargo(root: &Path, progress: impl FnMut(Progress)) -> Result<Outcome, BuildError> {
    let mut command = Command::new("cargo");
    command
        .args([
            "build",
            "--profile",
            "hot",
            "--message-format",
            "json-diagnostic-rendered-ansi",
        ])
        // The total is told nowhere else. As arguments: a cargo that a build script runs must not inherit them.
        .args(["--config", "term.progress.when='always'"])
        .args(["--config", "term.progress.width=120"])
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    as_the_person_had_it(command.as_std_mut(), root);
    let mut cargo = Cargo(command.spawn().map_err(BuildError::Run)?);

    let stdout = cargo.0.stdout.take().expect("piped above");
    let stderr = cargo.0.stderr.take().expect("piped above");
    // Both at once: a full pipe that nobody reads would stop cargo.
    let (messages, said) = tokio::join!(messages(stdout), said(stderr, progress));
    let (artifact, diagnostics) = messages.map_err(BuildError::Run)?;
    let said = said.map_err(BuildError::Run)?;
    let status = cargo.0.wait().await.map_err(BuildError::Run)?;

    match (status.success(), artifact) {
        (true, Some(artifact)) => Ok(Outcome::Built {
            artifact,
            warnings: diagnostics,
        }),
        (true, None) => Err(BuildError::NoArtifact),
        (false, _) => Ok(Outcome::Failed {
            diagnostics: with_cargos_own(diagnostics, said),
        }),
    }
}

/// A faulty manifest or a missing dependency is told on stderr only.
fn with_cargos_own(mut diagnostics: Vec<Diagnostic>, said: String) -> Vec<Diagnostic> {
    if !diagnostics
        .iter()
        .any(|diagnostic| diagnostic.level == "error")
    {
        let message = said
            .lines()
            .find(|line| line.starts_with("error"))
            .unwrap_or("cargo failed")
            .to_owned();
        diagnostics.push(Diagnostic {
            level: "error",
            message,
            rendered: said,
            file: None,
            line: None,
            column: None,
        });
    }
    diagnostics
}

/// What cargo says on stderr, without its progress bar, which it redraws in place: each ends with a carriage return.
async fn said(
    stderr: impl tokio::io::AsyncRead + Unpin,
    mut progress: impl FnMut(Progress),
) -> io::Result<String> {
    let (mut said, mut latest) = (String::new(), None);
    let mut reader = BufReader::new(stderr);
    let mut piece = Vec::new();
    while reader.read_until(b'\r', &mut piece).await? > 0 {
        let text = String::from_utf8_lossy(&piece);
        let (before, last) = text.split_at(text.rfind('\n').map_or(0, |end| end + 1));
        said.push_str(before);
        match progress_in(last) {
            Some(now) if latest != Some(now) => {
                latest = Some(now);
                progress(now);
            }
            Some(_) => {}
            None => said.push_str(last.trim_end_matches('\r')),
        }
        piece.clear();
    }
    Ok(said)
}

/// From `    Building [====>     ] 12/345: serde, tokio`.
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

async fn messages(
    stdout: impl tokio::io::AsyncRead + Unpin,
) -> io::Result<(Option<PathBuf>, Vec<Diagnostic>)> {
    let (mut artifact, mut diagnostics) = (None, Vec::new());
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line) {
            Ok(Message::CompilerArtifact(built)) if built.target.name == APP => {
                artifact = built
                    .filenames
                    .into_iter()
                    .find(|file| file.as_str().ends_with(DLL_SUFFIX))
                    .map(Into::into)
                    .or(artifact);
            }
            Ok(Message::CompilerMessage(compiler)) => {
                diagnostics.extend(diagnostic(compiler.message))
            }
            Ok(_) => {}
            Err(error) => tracing::debug!("cargo said something unknown ({error}): {line}"),
        }
    }
    Ok((artifact, diagnostics))
}

fn diagnostic(message: cargo_metadata::diagnostic::Diagnostic) -> Option<Diagnostic> {
    let level = match message.level {
        DiagnosticLevel::Error | DiagnosticLevel::Ice => "error",
        DiagnosticLevel::Warning => "warning",
        _ => return None, // "for more information about this error": the rendered error says so too
    };
    let rendered = message.rendered.unwrap_or_default();
    let span = message.spans.into_iter().find(|span| span.is_primary);
    let (line, column) = (
        span.as_ref().map(|span| span.line_start),
        span.as_ref().map(|span| span.column_start),
    );
    // "aborting due to 2 previous errors" points nowhere and says nothing new.
    if span.is_none() && message.message.starts_with("aborting due to")
        || message.message.ends_with("warning emitted")
        || message.message.ends_with("warnings emitted")
    {
        return None;
    }
    Some(Diagnostic {
        level,
        message: message.message,
        rendered,
        file: span.map(|span| span.file_name),
        line,
        column,
    })
}

/// Removes what `cargo run` put into our environment. Fingerprints include parts of it, and with a difference
/// everything would be built again, into libraries that do not fit the running host.
pub(crate) fn as_the_person_had_it(command: &mut std::process::Command, root: &Path) {
    for (name, value) in std::env::vars_os() {
        let Some(key) = name.to_str() else { continue };
        let set_by_cargo = key == "CARGO"
            || key == "OUT_DIR"
            || [
                "CARGO_PKG_",
                "CARGO_MANIFEST_",
                "CARGO_BIN_",
                "CARGO_CRATE_",
                "CARGO_PRIMARY_",
                "LISTEN_",
            ]
            .iter()
            .any(|prefix| key.starts_with(prefix));
        if set_by_cargo {
            command.env_remove(&name);
        } else if matches!(key, "LD_LIBRARY_PATH" | "DYLD_FALLBACK_LIBRARY_PATH") {
            // `cargo run` prepends the target folder and the toolchain's; what is left was the person's.
            let own: Vec<PathBuf> = std::env::split_paths(&value)
                .filter(|path| {
                    !path.starts_with(root)
                        && !path.components().any(|part| part.as_os_str() == "rustlib")
                })
                .collect();
            match std::env::join_paths(&own) {
                Ok(own) if !own.is_empty() => command.env(&name, own),
                _ => command.env_remove(&name),
            };
        }
    }
}

/// A running cargo in a process group of its own: Ctrl-C in the terminal does not reach it, our drop does.
struct Cargo(Child);

impl Drop for Cargo {
    fn drop(&mut self) {
        // `id` is None once cargo was awaited: nothing to end. Else the whole group, because a rustc left behind
        // would write into the directory that the next build uses. tokio reaps the child.
        if let Some(id) = self.0.id()
            && let Err(errno) = killpg(Pid::from_raw(id.cast_signed()), Signal::SIGKILL)
        {
            tracing::debug!("ending cargo: {errno}"); // it ended by itself just now
        }
    }
}

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
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
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

/// Why cargo could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error("cannot run cargo: {0}; is it in PATH?")]
    Run(#[source] io::Error),
    #[error(
        "cargo built no library of {APP}: its Cargo.toml needs crate-type = [\"cdylib\", \"rlib\"]"
    )]
    NoArtifact,
}

/// Builds the workspace at `root`.
pub(crate) async fn build(root: &Path) -> Result<Outcome, BuildError> {
    let mut command = Command::new("cargo");
    command
        .args([
            "build",
            "--profile",
            "hot",
            "--message-format",
            "json-diagnostic-rendered-ansi",
        ])
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    as_the_person_had_it(command.as_std_mut(), root);
    let mut cargo = Cargo(command.spawn().map_err(BuildError::Run)?);

    let stdout = cargo.0.stdout.take().expect("piped above");
    let mut stderr = cargo.0.stderr.take().expect("piped above");
    let mut said = String::new();
    // Both at once: a full pipe that nobody reads would stop cargo.
    let (messages, read) = tokio::join!(messages(stdout), stderr.read_to_string(&mut said));
    let (artifact, diagnostics) = messages.map_err(BuildError::Run)?;
    read.map_err(BuildError::Run)?;
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

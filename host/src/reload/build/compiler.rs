//! Runs rustc and reads its messages.

use std::{env::consts::DLL_SUFFIX, path::PathBuf};

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use super::{Diagnostic, group::Group, invocation::Invocation, message::diagnostic};
use crate::config::Project;

/// The result of one run.
pub(super) enum Compiled {
    /// `library` is the one that can be loaded, if it makes one.
    Library {
        library: Option<PathBuf>,
        warnings: Vec<Diagnostic>,
    },
    Failed {
        diagnostics: Vec<Diagnostic>,
    },
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

/// `None` if the result is unclear. Dropping the future kills the compiler.
pub(super) async fn run(invocation: &Invocation, project: &Project) -> Option<Compiled> {
    let mut command = invocation.command(project.workspace());
    let (mut group, mut stdout, stderr) = Group::spawn(&mut command).ok()?;
    let mut printed = Vec::new();
    let (messages, printed) = tokio::join!(
        read_messages(stderr, project),
        stdout.read_to_end(&mut printed)
    );
    let (library, diagnostics) = messages?;
    printed.ok()?;
    let status = group.wait().await.ok()?;
    match (status.code(), diagnostics.iter().any(Diagnostic::is_error)) {
        (Some(0), false) => Some(Compiled::Library {
            library,
            warnings: diagnostics,
        }),
        (Some(1), true) => Some(Compiled::Failed { diagnostics }),
        _ => None, // a compiler that crashed or was killed
    }
}

/// The library and the diagnostics. `None` if a line is not a message.
async fn read_messages(
    stderr: impl AsyncRead + Unpin,
    project: &Project,
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
            RustcMessage::Diagnostic(message) => diagnostics.extend(diagnostic(message, project)),
            RustcMessage::Artifact { .. } | RustcMessage::Other => {}
        }
    }
    Some((library, diagnostics))
}

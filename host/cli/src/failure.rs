//! Why nothing was done. Each text names the file or the thing, and what to do next.

use std::{io, path::PathBuf};

/// The error of every command.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is not TOML.
    #[error("{}: {source}", path.display())]
    Toml {
        /// Which one.
        path: PathBuf,
        /// Where, and why.
        source: Box<toml_edit::TomlError>,
    },
    /// A source file is not Rust.
    #[error("{}:{}: {source}: correct this file, then try again", path.display(), source.span().start().line)]
    Rust {
        /// Which one.
        path: PathBuf,
        /// Where, and why.
        source: syn::Error,
    },
    /// Cargo does not understand the project.
    #[error(transparent)]
    Cargo(#[from] cargo_metadata::Error),
    /// The console is gone.
    #[error("the terminal: {0}")]
    Console(io::Error),
    /// A reason of ours.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// Adds the path to an I/O error.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

/// Refuses with a message.
pub(crate) fn refuse<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Refused(message.into()))
}

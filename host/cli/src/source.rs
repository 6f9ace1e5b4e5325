//! Where a project takes the dev server's crates from: the place that this program was installed from, unless a flag
//! names another.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;
use toml_edit::{DocumentMut, InlineTable};

use crate::failure::{Failure, refuse};

/// The flags.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SourceFlags {
    /// Take the dev server's crates from this git repository [default: where `hot` was installed from]
    #[arg(long, value_name = "URL", conflicts_with = "path")]
    git: Option<String>,
    /// The commit in it
    #[arg(long, value_name = "REV", requires = "git")]
    rev: Option<String>,
    /// Take them from a checkout in this folder
    #[arg(long, value_name = "FOLDER")]
    path: Option<PathBuf>,
}

/// A repository or a checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Git { url: String, rev: Option<String> },
    Path(PathBuf),
}

impl Source {
    pub(crate) fn read(flags: &SourceFlags, folder: &Path) -> Result<Self, Failure> {
        if let Some(url) = &flags.git {
            return Ok(Self::Git {
                url: url.clone(),
                rev: flags.rev.clone(),
            });
        }
        let source = match &flags.path {
            Some(path) => Self::Path(folder.join(path)),
            None => Self::of_this_program(),
        };
        match source {
            Self::Path(path) => Self::checkout(&path),
            git @ Self::Git { .. } => Ok(git),
        }
    }

    fn checkout(path: &Path) -> Result<Self, Failure> {
        match fs::canonicalize(path) {
            Ok(path) if path.join("shared/dylib/Cargo.toml").is_file() => Ok(Self::Path(path)),
            _ => refuse(format!(
                "{} is not a checkout of the dev server: name one with --path FOLDER, or its repository with --git URL",
                path.display()
            )),
        }
    }

    /// `cargo install` writes down what it has installed, and from where. What it did not install was built in a checkout.
    fn of_this_program() -> Self {
        let receipt = env::current_exe().ok().and_then(|program| {
            let root = program.parent()?.parent()?;
            let receipt = fs::read_to_string(root.join(".crates.toml")).ok()?;
            Self::in_receipt(&receipt)
        });
        receipt.unwrap_or_else(|| Self::Path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")))
    }

    /// Reads `"host_cli 0.1.0 (git+https://example.org/hot#0123abc)" = ["hot"]`.
    fn in_receipt(receipt: &str) -> Option<Self> {
        let receipt: DocumentMut = receipt.parse().ok()?;
        let installed = receipt.get("v1")?.as_table_like()?;
        installed.iter().find_map(|(key, _)| {
            let source = key.strip_prefix(concat!(env!("CARGO_PKG_NAME"), " "))?;
            let source = source.split_once('(')?.1.strip_suffix(')')?;
            if let Some(folder) = source.strip_prefix("path+file://") {
                return Some(Self::Path(Path::new(folder).join("../..")));
            }
            let (url, rev) = source.strip_prefix("git+")?.split_once('#')?;
            Some(Self::Git {
                url: url.split('?').next()?.to_owned(),
                rev: Some(rev.to_owned()),
            })
        })
    }

    /// The same commit of the checkout as a git source. Cargo tells two packages of one name apart by their source, which
    /// a path is not.
    pub(crate) fn as_git(&self) -> Option<Self> {
        let Self::Path(path) = self else {
            return Some(self.clone());
        };
        let head = Command::new("git")
            .current_dir(path)
            .args(["rev-parse", "HEAD"])
            .output()
            .ok()?;
        Some(Self::Git {
            url: format!("file://{}", path.display()),
            rev: head
                .status
                .success()
                .then(|| String::from_utf8_lossy(&head.stdout).trim().to_owned()),
        })
        .filter(|_| path.join(".git").exists())
    }

    /// Whether a manifest is one of ours, in this checkout.
    pub(crate) fn holds(&self, manifest: impl AsRef<Path>, ours: &[(&str, &str)]) -> bool {
        let Self::Path(checkout) = self else {
            return false;
        };
        let folder = manifest.as_ref().parent();
        let mut folders = ours.iter().map(|(_, folder)| checkout.join(folder));
        folders.any(|ours| Some(&*ours) == folder)
    }

    /// A dependency on the crate in `folder`.
    pub(crate) fn dependency(&self, folder: &str) -> InlineTable {
        let mut table = InlineTable::new();
        match self {
            Self::Git { url, rev } => {
                table.insert("git", url.into());
                if let Some(rev) = rev {
                    table.insert("rev", rev.into());
                }
            }
            Self::Path(checkout) => {
                let folder = checkout.join(folder);
                table.insert("path", folder.to_string_lossy().into_owned().into());
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_receipt_of_cargo_install_names_the_source() {
        let read = |source: &str| {
            Source::in_receipt(&format!(
                "[v1]\n\"just 1.0.0 (registry+https://example.org/index)\" = [\"just\"]\n\"host_cli 0.1.0 ({source})\" = [\"hot\"]\n"
            ))
        };
        let git = |rev: &str| {
            Some(Source::Git {
                url: "https://example.org/hot".into(),
                rev: Some(rev.into()),
            })
        };
        assert_eq!(read("git+https://example.org/hot#0a1b"), git("0a1b"));
        assert_eq!(
            read("git+https://example.org/hot?branch=main#2c3d"),
            git("2c3d")
        );
        let Some(Source::Path(checkout)) = read("path+file:///src/hot/host/cli") else {
            panic!("a path");
        };
        assert_eq!(checkout, Path::new("/src/hot/host/cli/../.."));
        assert_eq!(Source::in_receipt("[v1]\n"), None);
    }
}

//! Finds `initdb` and `postgres`: `PGBIN`, `PATH`, the places of Debian, Red Hat, Homebrew and Postgres.app, and last
//! what was fetched.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    PostgresError,
    fetched::{self, MAJOR},
};

/// A folder with the programs of one PostgreSQL, and its major version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    folder: PathBuf,
    /// As in the file `PG_VERSION` of a data folder: "15".
    pub major: String,
    /// For display: "15.18".
    pub version: String,
}

impl Binaries {
    /// The first one found, or the first of version `major` if a data folder requires it.
    pub fn find(major: Option<&str>) -> Result<Self, PostgresError> {
        // PGBIN takes precedence, even over a newer version elsewhere.
        let named = env::var_os("PGBIN").map(PathBuf::from);
        let in_path = env::var_os("PATH")
            .map(|path| env::split_paths(&path).collect::<Vec<_>>())
            .unwrap_or_default();
        let installed = match named {
            Some(folder) => vec![folder],
            None => in_path.into_iter().chain(usual_folders()).collect(),
        };
        let found: Vec<Self> = installed
            .into_iter()
            .chain(fetched::programs())
            .filter_map(|folder| Self::at(&folder))
            .collect();
        let other_version = |major: &str, found| PostgresError::OtherVersion {
            data: PathBuf::new(),
            made_by: major.to_owned(),
            found,
        };
        match (found.first().cloned(), major) {
            (Some(first), None) => Ok(first),
            (Some(first), Some(major)) => found
                .into_iter()
                .find(|binaries| binaries.major == major)
                .ok_or_else(|| other_version(major, format!("only {}", first.version))),
            (None, Some(major)) if major != MAJOR => Err(other_version(major, "none".to_owned())),
            (None, _) => Err(PostgresError::NotFound),
        }
    }

    /// The path of one of the programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn at(folder: &Path) -> Option<Self> {
        // Resolve links: initdb looks for postgres in its own folder, and /usr/local/bin may have a link to only one.
        let postgres = folder.join("postgres").canonicalize().ok()?;
        let folder = postgres.parent()?.to_owned();
        if !folder.join("initdb").is_file() {
            return None;
        }
        // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
        let output = Command::new(&postgres).arg("--version").output().ok()?;
        let version = String::from_utf8(output.stdout)
            .ok()?
            .split_whitespace()
            .nth(2)?
            .to_owned();
        let major: String = version.chars().take_while(char::is_ascii_digit).collect();
        Some(Self {
            folder,
            major,
            version,
        })
    }
}

/// Newest first.
fn usual_folders() -> Vec<PathBuf> {
    let mut versions = Vec::new();
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
        ("/Applications/Postgres.app/Contents/Versions", ""),
    ] {
        let Ok(entries) = Path::new(parent).read_dir() else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(version) = name
                .strip_prefix(prefix)
                .and_then(|rest| rest.parse::<u32>().ok())
            {
                versions.push((version, entry.path().join("bin")));
            }
        }
    }
    versions.sort_by(|(a, _), (b, _)| b.cmp(a));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

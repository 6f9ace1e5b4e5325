//! A rustc command as cargo prints it: parsed, queried and rewritten.
//!
//! A command that cannot be parsed with certainty is ignored.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::group::compiler;

/// One run of the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invocation {
    program: String,
    arguments: Vec<String>,
    /// The variables that cargo sets for the compiler, on top of the user's environment.
    environment: Vec<(String, String)>,
}

impl Invocation {
    /// The commands for path packages in cargo's stderr, in the order in which cargo ran them.
    pub(super) fn all_in(stderr: &str) -> impl Iterator<Item = Self> {
        // cargo silences the lints of every other package.
        let is_ours = |one: &Self| {
            one.value_of("--cap-lints").is_none() && one.value_of("--crate-name").is_some()
        };
        stderr
            .split("Running `")
            .skip(1)
            .filter_map(Self::read)
            .filter(is_ours)
    }

    /// Parses environment, program and arguments, quoted as for a shell.
    fn read(text: &str) -> Option<Self> {
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
        Some(Self {
            program,
            arguments: words.collect(),
            environment,
        })
    }

    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// What follows `name`, as its own word or after `=`.
    fn value_of(&self, name: &str) -> Option<&str> {
        let words = &self.arguments;
        words
            .iter()
            .enumerate()
            .find_map(|(at, word)| match word.strip_prefix(name)? {
                "" => words.get(at + 1).map(String::as_str),
                rest => rest.strip_prefix('='),
            })
    }

    pub(super) fn crate_name(&self) -> &str {
        self.value_of("--crate-name").unwrap_or_default()
    }

    pub(super) fn has_crate_type(&self, kind: &str) -> bool {
        let pairs = self.arguments.iter().zip(self.arguments.iter().skip(1));
        let mut kinds = pairs
            .filter(|(flag, _)| *flag == "--crate-type")
            .map(|(_, kind)| kind);
        kinds.any(|it| it == kind)
    }

    pub(super) fn out_dir(&self) -> Option<&Path> {
        self.value_of("--out-dir").map(Path::new)
    }

    /// The name of its outputs, without `lib` and extension: two crates never share it.
    pub(super) fn stem(&self) -> String {
        let extra = self
            .arguments
            .iter()
            .find_map(|word| word.strip_prefix("extra-filename="));
        format!("{}{}", self.crate_name(), extra.unwrap_or_default())
    }

    /// Its dep-info file in `folder`.
    pub(super) fn dep_info(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.d", self.stem()))
    }

    /// The folder of its package.
    pub(super) fn package(&self) -> Option<&Path> {
        let of = |(name, value)| (name == "CARGO_MANIFEST_DIR").then_some(value);
        self.environment
            .iter()
            .find_map(|(name, value)| of((name.as_str(), Path::new(value))))
    }

    /// The paths in `--extern name=path`.
    pub(super) fn extern_paths(&self) -> impl Iterator<Item = PathBuf> {
        let pairs = self.arguments.iter().zip(self.arguments.iter().skip(1));
        pairs
            .filter(|(flag, _)| *flag == "--extern")
            .filter_map(|(_, value)| Some(value.split_once('=')?.1.into()))
    }

    /// Whether it reads the library of the crate with this stem.
    pub(super) fn depends_on(&self, stem: &str) -> bool {
        self.extern_paths().any(|path| is_library_of(&path, stem))
    }

    /// The same command with all output in `folder`, reading the libraries of `chain` there too. A library that is
    /// loaded is made alone: its rlib is only for production.
    pub(super) fn moved_to(&self, folder: &Path, chain: &[String]) -> Self {
        let place = |name: &str| folder.join(name).display().to_string();
        let loaded = self.has_crate_type("cdylib");
        let mut arguments = vec!["-L".to_owned(), format!("dependency={}", folder.display())];
        let mut words = self.arguments.iter();
        while let Some(word) = words.next() {
            if word == "--out-dir" || word == "--crate-type" && loaded {
                words.next();
            } else if word.starts_with("incremental=") {
                arguments.push(format!("incremental={}", place("incremental")));
            } else if word == "--extern" {
                arguments.push(word.clone());
                arguments.extend(words.next().map(|value| redirect(value, folder, chain)));
            } else {
                arguments.push(word.clone());
            }
        }
        arguments.extend(["--out-dir".to_owned(), place("")]);
        if loaded {
            arguments.extend(["--crate-type", "cdylib"].map(str::to_owned));
        }
        Self {
            arguments,
            ..self.clone()
        }
    }

    /// Runs where cargo would run it: in the workspace, or in a package outside of it.
    pub(super) fn command(&self, workspace: &Path) -> Command {
        self.with_arguments(compiler(&self.program, self.folder(workspace)))
    }

    /// With low priority, for background work: it must not slow down what the user does meanwhile.
    pub(super) fn niced_command(&self, workspace: &Path) -> Command {
        let mut nice = compiler("nice", self.folder(workspace));
        nice.arg(&self.program);
        self.with_arguments(nice)
    }

    /// The folder that it runs in.
    pub(super) fn folder<'a>(&'a self, workspace: &'a Path) -> &'a Path {
        let package = self
            .package()
            .filter(|package| !package.starts_with(workspace));
        package.unwrap_or(workspace)
    }

    fn with_arguments(&self, mut command: Command) -> Command {
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command.args(&self.arguments).envs(environment);
        command
    }
}

/// An `--extern` with its path in `folder`, if it is a library of `chain`.
fn redirect(value: &str, folder: &Path, chain: &[String]) -> String {
    let Some((name, path)) = value.split_once('=') else {
        return value.to_owned();
    };
    let path = Path::new(path);
    match path.file_name() {
        Some(file) if chain.iter().any(|stem| is_library_of(path, stem)) => {
            format!("{name}={}", folder.join(file).display())
        }
        _ => value.to_owned(),
    }
}

/// Whether the file is a library of the crate with this stem.
pub(super) fn is_library_of(path: &Path, stem: &str) -> bool {
    let name = path.file_stem().and_then(|name| name.to_str());
    name.and_then(|name| name.strip_prefix("lib")) == Some(stem)
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

//! A rustc command as cargo prints it: parsed, queried and rewritten.
//!
//! A command that cannot be parsed with certainty is ignored.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::group::command;

/// One run of the compiler.
pub(super) struct Invocation {
    program: String,
    arguments: Vec<String>,
    /// The variables that cargo sets for the compiler, on top of the user's environment.
    environment: Vec<(String, String)>,
}

impl Invocation {
    /// Finds, in cargo's stderr, the command that compiled `package` as a `kind` of crate.
    pub(super) fn of(package: &str, kind: &str, stderr: &str) -> Option<Self> {
        let mut all = stderr.split("Running `").skip(1).filter_map(Self::read);
        all.find(|invocation| {
            invocation.value_of("--crate-name") == Some(package)
                && invocation.arguments.iter().any(|argument| argument == kind)
        })
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

    pub(super) fn value_of(&self, name: &str) -> Option<&str> {
        let mut following = self.arguments.iter().skip_while(|word| *word != name);
        following.nth(1).map(String::as_str)
    }

    /// The paths in `--extern name=path`.
    pub(super) fn extern_paths(&self) -> impl Iterator<Item = PathBuf> {
        let pairs = self.arguments.iter().zip(self.arguments.iter().skip(1));
        pairs
            .filter(|(flag, _)| *flag == "--extern")
            .filter_map(|(_, value)| Some(value.split_once('=')?.1.into()))
    }

    /// The same command for only one `kind` of crate, with all output in `folder`.
    pub(super) fn for_crate_type(self, kind: &str, folder: &Path) -> Self {
        let place = |name: &str| folder.join(name).display().to_string();
        let mut arguments = Vec::new();
        let mut words = self.arguments.into_iter();
        while let Some(word) = words.next() {
            if word == "--crate-type" || word == "--out-dir" {
                words.next();
            } else if word.starts_with("incremental=") {
                arguments.push(format!("incremental={}", place("incremental")));
            } else {
                arguments.push(word);
            }
        }
        arguments.extend(["--crate-type", kind, "--out-dir", &place("")].map(str::to_owned));
        Self { arguments, ..self }
    }

    pub(super) fn command(&self, root: &Path) -> Command {
        self.with_arguments(command(&self.program, root))
    }

    /// With low priority, for background work: it must not slow down what the user does meanwhile.
    pub(super) fn niced_command(&self, root: &Path) -> Command {
        let mut nice = command("nice", root);
        nice.arg(&self.program);
        self.with_arguments(nice)
    }

    fn with_arguments(&self, mut command: Command) -> Command {
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command.args(&self.arguments).envs(environment);
        command
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

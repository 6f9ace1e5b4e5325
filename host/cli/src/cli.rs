//! The command line. Each command exits with 0, or with 1 after one message on stderr.

use std::{
    env,
    ffi::OsString,
    io::{self, IsTerminal},
    path::Path,
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{
    check, console::Console, failure::Failure, flags::InitFlags, init, new, new::NewFlags, undo,
};

#[derive(Parser)]
#[command(
    name = "hot",
    version,
    about = "Puts a hot-reload dev server into an axum project"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set up `cargo dev` in the project of the working folder
    Init(InitFlags),
    /// Make a new project: a page, a JSON API, a table, tests, and `cargo dev`
    New(NewFlags),
}

/// Runs this process's command line.
#[must_use]
pub fn main() -> ExitCode {
    let (mut out, mut answers) = (io::stdout(), io::stdin().lock());
    let is_terminal = io::stdin().is_terminal() && out.is_terminal();
    let answers = is_terminal.then_some(&mut answers as &mut dyn io::BufRead);
    let done = env::current_dir()
        .map_err(Failure::file("."))
        .and_then(|folder| {
            run(
                &folder,
                env::args_os(),
                &mut Console::new(&mut out, answers),
            )
        });
    done.unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        ExitCode::FAILURE
    })
}

/// Runs a command line, the program's name first, in `folder`.
///
/// # Errors
///
/// [`Failure`], with nothing written.
pub fn run(
    folder: &Path,
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    console: &mut Console<'_>,
) -> Result<ExitCode, Failure> {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        // Help, the version, or a mistake: clap knows where each goes.
        Err(error) => error.exit(),
    };
    match cli.command {
        Command::Init(flags) if flags.undo => undo::run(folder, flags.yes, console)?,
        Command::Init(flags) if flags.check => return check::run(folder, &flags, console),
        Command::Init(flags) => init::run(folder, &flags, console)?,
        Command::New(flags) => new::run(folder, &flags, console)?,
    }
    Ok(ExitCode::SUCCESS)
}

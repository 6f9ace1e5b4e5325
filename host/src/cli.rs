//! The command line. Each command exits with 0, or with 1 after one message on stderr.
//!
//! Every command gets a multi-threaded runtime whose root future runs on the main thread. The private cluster is
//! spawned there, because it stops when the thread that spawned it ends, and `exec` is called there for the same
//! reason.

use std::{io::IsTerminal, process::ExitCode};

use clap::{Parser, Subcommand};
#[cfg(feature = "production")]
use shared::env::LogFormat;
use shared::{AppState, BoxError, abi::Building};
use tracing::Dispatch;

use crate::{config::settings, logs};

#[derive(Parser)]
#[command(version, about = "Hot-reload dev server for Rust and PostgreSQL", long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the app and reload it on every save
    #[cfg(feature = "dev")]
    Dev(crate::config::Options),
    /// Watch generation, backends and PID of a running `host dev`
    #[cfg(feature = "dev")]
    Connections,
    /// Apply pending migrations
    #[cfg(feature = "dev")]
    Migrate,
    /// Make the next file in migrations/, for example: migration add_colour
    #[cfg(feature = "dev")]
    Migration { name: String },
    /// Open psql on the development database; arguments are passed on
    #[cfg(feature = "dev")]
    Psql {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Print the DATABASE_URL at which the running host offers the database: any program there shares the app's backend
    #[cfg(feature = "dev")]
    Url,
    /// Drop everything in the development database, migrate again and run the seeds
    #[cfg(feature = "dev")]
    DbReset {
        /// Name of the database, required when DATABASE_URL is set
        #[arg(long)]
        confirm: Option<String>,
    },
    /// Keep a copy of the private database as it is now
    #[cfg(feature = "dev")]
    DbSnapshot {
        #[arg(default_value = "latest")]
        name: String,
    },
    /// Put a snapshot in the place of the private database
    #[cfg(feature = "dev")]
    DbRestore {
        #[arg(default_value = "latest")]
        name: String,
    },
    /// List snapshots and the databases of branches
    #[cfg(feature = "dev")]
    DbList,
    /// Drop a snapshot, or the database of a branch
    #[cfg(feature = "dev")]
    DbDrop {
        #[arg(long, value_name = "NAME", required_unless_present = "snapshot")]
        branch: Option<String>,
        #[arg(long, value_name = "NAME", conflicts_with = "branch")]
        snapshot: Option<String>,
    },
    /// Serve the app that is linked into this binary
    #[cfg(feature = "production")]
    Serve(crate::production::ServeOptions),
}

/// How long threads may go on once everything else has ended.
#[cfg(any(feature = "dev", feature = "production"))]
const THREADS_LIMIT: std::time::Duration = std::time::Duration::from_secs(1);

/// The app that is linked in, if any.
pub(crate) type LinkedApp = Option<Box<dyn FnOnce(AppState) -> Building + Send>>;

/// Parses the command line and runs the command.
pub(crate) fn run(app: LinkedApp) -> ExitCode {
    let cli = Cli::parse();
    match execute(cli.command, app) {
        Ok(code) => code,
        Err(error) => {
            tracing::debug!(?error, "the command failed");
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg_attr(
    not(feature = "production"),
    expect(unused_variables, reason = "only `serve` runs a linked app")
)]
fn execute(command: Command, app: LinkedApp) -> Result<ExitCode, BoxError> {
    #[cfg(feature = "production")]
    let passed = matches!(command, Command::Serve(_)).then(crate::production::Passed::take);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("host")
        .build()?;
    #[cfg(feature = "production")]
    let app_may_set_the_log = matches!(command, Command::Serve(_));
    #[cfg(not(feature = "production"))]
    let app_may_set_the_log = false;
    if !app_may_set_the_log {
        logs::install(log_to_stderr(None));
        logs::read_filter();
    }
    match command {
        #[cfg(feature = "dev")]
        Command::Dev(options) => {
            let restart = runtime.block_on(crate::dev::run(options))?;
            // Let threads finish first: `exec` would kill them in the middle of their work.
            runtime.shutdown_timeout(THREADS_LIMIT);
            match restart {
                None => Ok(ExitCode::SUCCESS),
                Some(restart) => Err(restart.exec().into()),
            }
        }
        #[cfg(feature = "dev")]
        Command::Connections => runtime
            .block_on(crate::terminal::connections())
            .map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "dev")]
        Command::Migrate => runtime
            .block_on(crate::commands::migrate())
            .map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "dev")]
        Command::Migration { name } => {
            crate::commands::migration(&name).map(|()| ExitCode::SUCCESS)
        }
        #[cfg(feature = "dev")]
        Command::Psql { arguments } => runtime.block_on(crate::commands::psql(arguments)),
        #[cfg(feature = "dev")]
        Command::Url => runtime
            .block_on(crate::commands::url())
            .map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "dev")]
        Command::DbReset { confirm } => runtime
            .block_on(crate::commands::reset(confirm))
            .map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "dev")]
        Command::DbSnapshot { name } => runtime
            .block_on(crate::commands::snapshot(&name))
            .map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "dev")]
        Command::DbRestore { name } => runtime
            .block_on(crate::commands::restore(&name))
            .map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "dev")]
        Command::DbList => runtime
            .block_on(crate::commands::list())
            .map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "dev")]
        Command::DbDrop { branch, snapshot } => runtime
            .block_on(crate::commands::drop(branch, snapshot))
            .map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "production")]
        Command::Serve(options) => {
            let app =
                app.ok_or("no app is linked into this binary: call `host::serve` in its `main`")?;
            let passed = passed.expect("it was taken for this command");
            let serving = crate::production::serve(options, app, passed, log_as);
            let served = runtime.block_on(serving);
            // App code that never awaits must not keep the process.
            runtime.shutdown_timeout(THREADS_LIMIT);
            served.map(|()| ExitCode::SUCCESS)
        }
    }
}

/// For production, which knows its format once it has read the settings.
#[cfg(feature = "production")]
fn log_as(format: LogFormat, more: logs::More) -> Dispatch {
    match format {
        LogFormat::Text => log_to_stderr(more),
        LogFormat::Json => logs::json(std::io::stderr, more),
    }
}

fn log_to_stderr(more: logs::More) -> Dispatch {
    // Write through the screen, which must finish its last line first, and with its clock.
    #[cfg(feature = "dev")]
    let (writer, clock) = (crate::terminal::Log, crate::terminal::Clock);
    #[cfg(not(feature = "dev"))]
    let (writer, clock) = (std::io::stderr, tracing_subscriber::fmt::time::SystemTime);
    let coloured = std::io::stderr().is_terminal() && !settings::wants_plain_output();
    logs::subscriber(writer, clock, coloured, more)
}

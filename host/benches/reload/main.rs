//! How long a save takes to be live, what requests cost meanwhile, and what a reload leaves behind.
//!
//! `just bench-reload`; `--help` for its flags. The real host on copies of this workspace, with real saves. What it is
//! compared with runs in the same minutes on the same machine, in turns, so that a busy machine is unfair to all
//! alike. Ends with 1 if a target was not reached.

// Where it happens, and what is run there.
mod command;
mod scratch;

// What is edited.
mod app;

// Who asks.
mod client;

// What is measured.
mod memory;
mod rate;
mod save;

// What is left of it.
mod report;

use std::path::PathBuf;

use app::{App, Name, large::Routing};
use clap::{Parser, ValueEnum};
use report::Report;
use save::{Beside, CargoAlone, HotLib, Watcher, Way};
use scratch::Scratch;
use shared::{BoxError, db::DatabaseUrl};
use shared_cluster::{Cluster, Place};
use tokio::signal::unix::{SignalKind, signal};
use tokio_postgres::config::Host;

/// Measures the host beside what else one could do; about a quarter of an hour, all of it.
#[derive(Parser)]
struct Options {
    /// Saves of each kind of edit
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Reloads after which memory and threads are counted
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..))]
    reloads: u16,
    /// One part of it
    #[arg(long)]
    only: Option<Part>,
    /// One app only [default: both; for the rate large, for the memory sample]
    #[arg(long)]
    app: Option<Name>,
    /// What saves are compared with
    #[arg(long, value_delimiter = ',', default_values = ["cargo", "watcher", "hot-lib"])]
    beside: Vec<Beside>,
    /// Whose router the large app is made with
    #[arg(long, default_value = "shared")]
    routing: Routing,
    /// A file for each handler of the large app, and not for each resource
    #[arg(long)]
    handler_files: bool,
    /// Every number, as CSV; a relative path is one from the root of the workspace
    #[arg(long)]
    csv: Option<PathBuf>,
    /// Said by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Save to live
    Save,
    /// Requests per second
    Rate,
    /// What reloads leave behind
    Memory,
}

fn main() -> Result<(), BoxError> {
    let options = Options::parse();
    let scratch = Scratch::new()?;
    // From the main thread, which the server's life is tied to.
    let mut cluster = Cluster::of(Place::new(scratch.path("database"), "postgres"))?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(cluster.start(&mut |_| {}))?;
    let database = keywords(&cluster.url());
    let reached = runtime.block_on(async {
        tokio::select! {
            reached = bench(&options, &scratch, &database) => reached,
            why = interrupted() => Err(why?.into()),
        }
    });
    drop(runtime); // its connections end before the server does
    drop(cluster);
    drop(scratch);
    if reached? {
        Ok(())
    } else {
        Err("not reached".into())
    }
}

/// Waits for Ctrl-C or SIGTERM. What is running then stops when its owner is dropped.
async fn interrupted() -> std::io::Result<&'static str> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok("interrupted")
}

/// A cluster as other processes are told of it.
fn keywords(url: &DatabaseUrl) -> String {
    let config = url.config();
    let folder = match config.get_hosts() {
        [Host::Unix(folder)] => folder.display().to_string(),
        hosts => unreachable!("a private cluster is a socket and not {hosts:?}"),
    };
    format!(
        "host='{folder}' user={} dbname={}",
        config.get_user().unwrap_or_default(),
        config.get_dbname().unwrap_or_default(),
    )
}

async fn bench(options: &Options, scratch: &Scratch, database: &str) -> Result<bool, BoxError> {
    let mut report = Report::new((options.csv.as_ref()).map(|csv| scratch.workspace.join(csv)));
    let wanted = |part| options.only.is_none_or(|only| only == part);
    eprintln!("building the workspace");
    scratch.build().await?;
    let mut host = save::Host::new(scratch, database)?;
    let mut watcher = None;

    if wanted(Part::Save) {
        let beside = |other| options.beside.contains(&other);
        let mut cargo = match beside(Beside::Cargo) {
            true => Some(CargoAlone::new(scratch)?),
            false => None,
        };
        if beside(Beside::Watcher) {
            watcher = Some(Watcher::new(scratch, database)?);
        }
        // The sample first: the host would miss the large one's migration.
        for name in [Name::Sample, Name::Large] {
            if options.app.is_some_and(|only| only != name) {
                continue;
            }
            let mut hot_lib = match (name, beside(Beside::HotLib)) {
                (Name::Large, true) => Some(HotLib::new(scratch, database)?),
                _ => None,
            };
            let mut ways: Vec<&mut dyn Way> = vec![&mut host];
            ways.extend(cargo.as_mut().map(|way| way as &mut dyn Way));
            ways.extend(watcher.as_mut().map(|way| way as &mut dyn Way));
            ways.extend(hot_lib.as_mut().map(|way| way as &mut dyn Way));
            let mut app = app(options, scratch, name)?;
            save::run(&mut app, &mut ways, options.rounds.into(), &mut report).await?;
        }
    }
    if wanted(Part::Memory) {
        let mut app = app(options, scratch, options.app.unwrap_or(Name::Sample))?;
        memory::run(&mut app, &mut host, options.reloads.into(), &mut report).await?;
    }
    if wanted(Part::Rate) {
        let app = app(options, scratch, options.app.unwrap_or(Name::Large))?;
        let mut linked = match watcher {
            Some(watcher) => watcher,
            None => Watcher::new(scratch, database)?,
        };
        let mut untraced = save::Host::untraced(scratch, database)?;
        rate::run(&app, [&mut host, &mut untraced], &mut linked, &mut report).await?;
    }
    report.write()?;
    Ok(report.reached)
}

fn app(options: &Options, scratch: &Scratch, name: Name) -> Result<App, BoxError> {
    match name {
        Name::Sample => app::sample::app(&scratch.workspace),
        Name::Large => Ok(app::large::app(options.routing, options.handler_files)),
    }
}

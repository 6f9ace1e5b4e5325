//! `host dev`: puts the pieces together, and takes them apart again in the right order.
//!
//! Up: settings, socket, database, migrations, then the two streets. Down: streams are asked to end, no new
//! connections, requests finish, generations retire, the connection closes, PostgreSQL stops. A second Ctrl-C skips
//! the waiting. Only reads from the streets; what it shows is in `status` and `terminal`.

// Where the project is, and that only one host works in it.
mod project;

// The database this checkout develops on.
mod database;

// Commands that need only that.
pub(crate) mod commands;

// The leak and its cure: the two switches, and who counts.
mod mode;

mod observer;

// The pool, and who counts.
mod connection;

// `.env`, while the host runs.
mod follow;

// The end.
mod running;

// What answers a request, and what the browser is told.
mod browser;
mod front;

// What is shown: to programs, to the person, in a second terminal.
mod banner;
mod connections;
mod status;
mod terminal;

use std::{sync::Arc, time::Instant};

use shared::BoxError;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use connections::connections;

use crate::{
    generation::Generations,
    migrate,
    reload::{Reload, Report, RestartNeeded, Settings},
    restart::{Carried, Image, Restart},
    serve::{accept, listen, panics},
    settings::{self, Flags},
    signals::Signals,
};
use browser::Browser;
use connection::Connection;
use database::Database;
use follow::Follow;
use front::Front;
use mode::Mode;
pub(crate) use project::Project;
use running::Running;

/// `host dev`'s own flags.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    mode: Mode,
    /// Makes a link of a place in a file, for example vscode://file/{file}:{line}:{column}
    #[arg(long, env = "EDITOR_URL")]
    editor_url: Option<String>,
    /// Another host name under which /__dev answers, beside localhost and loopback addresses
    #[arg(long)]
    allow_host: Vec<String>,
}

/// Serves until a signal, or until the host itself must be replaced. Runs on the main thread.
pub(crate) async fn run(options: Options) -> Result<Option<Restart>, BoxError> {
    let since = Instant::now();
    panics::install();
    let mut signals = Signals::new()?;
    let carried = Carried::take();
    let project = Project::find()?;
    let env = Arc::new(settings::read(project.dotenv()?, &options.flags)?);
    let image = Image::of_this_process()?;
    let executable = image.executable();
    let lock = project.lock()?;

    let listener = match listen::inherited()? {
        Some(listener) => listener,
        None => listen::bind(env.host, env.port)?,
    };
    let address = listener.local_addr()?;
    lock.announce(address)?;

    let mode = options.mode;
    let mut database = Database::find_or_start(&project, &env, mode.max_connections())?;
    let prepared = async {
        database.migrate(&project, &env).await?;
        Connection::prepare(&database, &env, mode, application_name(&carried)).await
    };
    // A server that does not answer, or a lock that a migration waits for, must not outlast a Ctrl-C.
    let Connection {
        db,
        db_config,
        observer,
        refused,
    } = tokio::select! {
        prepared = prepared => prepared?,
        _ = signals.next() => return Ok(None),
    };

    let generations = Generations::new();
    let (report, reported) = watch::channel(Report::new(carried.reloads));
    let (events, happened) = mpsc::unbounded_channel();
    let retiring = TaskTracker::new();
    let stop = CancellationToken::new();

    let own = status::routes(status::Sources {
        report: reported.clone(),
        generations: generations.clone(),
        db: db.clone(),
        observer: observer.clone(),
        refusals: refused.clone(),
        mode,
        address,
        restarts: carried.restarts,
    });
    let own = own.merge(browser::routes(Browser {
        report: reported.clone(),
        generations: generations.clone(),
        editor: options.editor_url,
        root: project.root().display().to_string(),
        stop: stop.clone(),
    }));
    let front = Arc::new(Front {
        own,
        generations: generations.clone(),
        names: options.allow_host,
    });
    let accepting = tokio::net::TcpListener::from_std(listener.try_clone()?)?;
    let serving = tokio::spawn({
        let (stop, drain) = (stop.clone(), env.drain_timeout);
        let answer = move |request, tether| front.clone().answer(request, tether);
        async move { accept::serve(&accepting, answer, stop, drain).await }
    });
    let banner = banner::Banner {
        since,
        address,
        database: database.describe(),
        restarts: carried.restarts,
        first: carried.last_id == 0,
        mode,
    };
    let terminal = terminal::Terminal::new(banner, db.clone(), observer);
    let showing = tokio::spawn(terminal.show(happened, refused));
    let (settings, current) = watch::channel(Settings {
        env: env.clone(),
        db_config,
    });
    let settings_saved = Arc::new(Notify::new());
    let follow = Follow {
        settings,
        db: db.clone(),
        flags: options.flags.clone(),
        mode,
    };
    let reload = Reload {
        root: project.root().to_owned(),
        db: db.clone(),
        settings: current,
        settings_saved: settings_saved.clone(),
        pool_owner: mode.pool,
        isolation: mode.isolation,
        generations: generations.clone(),
        image,
        last_id: carried.last_id,
        report,
        events,
        not_started: None,
        refusal: None,
        may_restart: Box::new({
            let (project, flags) = (project.clone(), options.flags);
            move || {
                settings::read(project.dotenv()?, &flags)?;
                migrate::load(&project.migrations())?;
                Ok(())
            }
        }),
        retiring: retiring.clone(),
    };
    let mut reloading = tokio::spawn(reload.run());

    let mut children = signal(SignalKind::child())?;
    let ended = loop {
        // On this thread, which the cluster is tied to. Given up half-way when the end comes first.
        let tend = async {
            tokio::select! {
                // A compiler as a rule; the cluster, when somebody killed it.
                _ = children.recv() => database.revive().await,
                () = settings_saved.notified() => follow.follow(&project, &mut database).await,
            }
        };
        tokio::select! {
            signal = signals.next() => {
                terminal::line(format_args!("{signal}: finishing what is under way; once more ends at once"));
                reloading.abort();
                break None;
            }
            ended = &mut reloading => break Some(ended),
            () = tend => {}
        }
    };

    let running = Running {
        serving,
        stop,
        generations: generations.clone(),
        retiring,
        db,
        drain: env.drain_timeout,
    };
    let hurried = tokio::select! {
        () = running.wind_down() => false,
        signal = signals.next() => {
            terminal::line(format_args!("{signal}: ended at once"));
            true
        }
    };
    showing.abort();

    // An error of the reload loop ends the host, orderly, and is what `host dev` reports.
    let restart = match ended {
        None => None,
        Some(ended) => Some(ended??),
    };
    // A person who asked for the end during a restart means the end.
    let (Some(RestartNeeded), false) = (restart, hurried) else {
        return Ok(None);
    };
    database.keep_running();
    let reloads = reported.borrow().reloads;
    let last_id = generations
        .standing()
        .1
        .last()
        .map_or(carried.last_id, |generation| generation.id);
    let carried = Carried {
        last_id,
        reloads,
        restarts: carried.restarts + 1,
    };
    Ok(Some(Restart {
        executable,
        listener,
        carried,
    }))
}

/// Names this process and this boot of it: a restart keeps the PID, and its predecessor's backend may still be ending.
fn application_name(carried: &Carried) -> String {
    let boot = chrono::Utc::now().timestamp_millis() as u64 % 0x0100_0000;
    format!(
        "host-dev:{}:{boot:06x}:{}",
        std::process::id(),
        carried.restarts
    )
}

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

// `.env`, while the host runs.
mod follow;

// What is shown: to programs, to the person, in a second terminal.
mod connections;
mod status;
mod terminal;

use std::{sync::Arc, time::Instant};

use axum::{body::Body, http::Response};
use hyper::{Request, body::Incoming};
use shared::{
    BoxError, Db,
    db::{DbConfig, OnRefusal},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

pub(crate) use connections::connections;

use crate::{
    generation::Generations,
    reload::{Reload, Report, RestartNeeded, Settings, retire},
    restart::{Carried, Image, Restart},
    serve::{accept, accept::Tether, dispatch::dispatch, listen, panics},
    settings::{self, Flags},
    signals::Signals,
};
use database::Database;
use follow::Follow;
use mode::Mode;
use observer::Observer;
pub(crate) use project::Project;
use status::Refusals;

/// `host dev`'s own flags.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    mode: Mode,
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
    database.migrate(&project, &env).await?;
    let name = application_name(&carried);
    let (refusals, refused) = watch::channel(Refusals::default());
    let mut db_config = DbConfig::new(&env, database.url(), name.clone());
    // First of all, while there is room for it.
    let own_observer = match mode.is_demonstration() {
        true => Some(Observer::on_its_own(name.clone(), db_config.clone()).await?),
        false => None,
    };
    if own_observer.is_some() {
        db_config.url = database.url_of_a_plain_role(&env).await?;
    }
    db_config.on_refusal = OnRefusal::new(move |refusal| {
        refusals.send_modify(|refusals| {
            refusals.times += 1;
            refusals.last = Some(refusal);
        });
    });
    let db = Db::new(&db_config);
    let over_the_connection = || Observer::over_the_connection(name, db.clone());
    let observer = Arc::new(own_observer.unwrap_or_else(over_the_connection));

    let generations = Generations::new();
    let (report, reported) = watch::channel(Report::new(carried.reloads));
    let (events, happened) = mpsc::unbounded_channel();
    let retiring = TaskTracker::new();
    let stop = CancellationToken::new();

    let status = status::routes(status::Sources {
        report: reported.clone(),
        generations: generations.clone(),
        db: db.clone(),
        observer: observer.clone(),
        refusals: refused.clone(),
        mode,
        address,
        restarts: carried.restarts,
    });
    let accepting = tokio::net::TcpListener::from_std(listener.try_clone()?)?;
    let serving = tokio::spawn({
        let (generations, stop, drain) = (generations.clone(), stop.clone(), env.drain_timeout);
        async move {
            let answer =
                move |request, tether| answer(generations.clone(), status.clone(), request, tether);
            accept::serve(&accepting, answer, stop, drain).await
        }
    });
    let banner = terminal::Banner {
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
        flags: options.flags,
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
        retiring: retiring.clone(),
    };
    let mut reloading = tokio::spawn(reload.run());

    let mut children = signal(SignalKind::child())?;
    let ended = loop {
        tokio::select! {
            signal = signals.next() => {
                terminal::line(format_args!("{signal}: finishing what is under way; once more ends at once"));
                reloading.abort();
                break None;
            }
            ended = &mut reloading => break Some(ended),
            // A compiler as a rule; the cluster, when somebody killed it. Here, because here is the main thread.
            _ = children.recv() => database.revive().await,
            () = settings_saved.notified() => follow.follow(&project, &mut database).await,
        }
    };

    let wind_down = async {
        if let Some(active) = generations.active() {
            active.end_streams();
        }
        stop.cancel();
        match serving.await {
            Ok(0) => {}
            Ok(cut) => terminal::line(format_args!(
                "{cut} connections cut off after {} ms (DRAIN_TIMEOUT_MS)",
                env.drain_timeout.as_millis()
            )),
            Err(error) => tracing::error!("serving: {error}"),
        }
        let last = generations.take();
        if let Some(active) = last {
            retire(active, env.drain_timeout).await;
        }
        retiring.close();
        retiring.wait().await;
        db.close().await;
    };
    tokio::select! {
        () = wind_down => {}
        signal = signals.next() => terminal::line(format_args!("{signal}: ended at once")),
    }
    showing.abort();

    // An error of the reload loop ends the host, orderly, and is what `host dev` reports.
    let restart = match ended {
        None => None,
        Some(ended) => Some(ended??),
    };
    let Some(RestartNeeded) = restart else {
        return Ok(None);
    };
    database.keep_running();
    let reloads = reported.borrow().reloads;
    let last_id = generations
        .all()
        .last()
        .map_or(carried.last_id, |generation| generation.id());
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

/// `/__dev` is the host's; everything else is the app's.
async fn answer(
    generations: Arc<Generations>,
    own: axum::Router,
    request: Request<Incoming>,
    tether: Tether,
) -> Response<Body> {
    let path = request.uri().path();
    if path == "/__dev" || path.starts_with("/__dev/") {
        return match own.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
    }
    dispatch(&generations, request, tether).await
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

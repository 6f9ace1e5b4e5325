//! `host dev`: builds every part, starts its tasks and hands them to the [main loop](crate::lifecycle).
//!
//! The only place that knows both the services and those who show what they report.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use host_accept::{Answer, Limits};
use shared::BoxError;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{Options, Settings, environment, settings},
    database::Handle,
    devtools::{self, Devtools, Editor, Journal, Sources},
    events::{Event, Events, Report},
    generation::Generations,
    health::{Health, HealthInputs},
    keep::Keeping,
    lifecycle::{Restart, Running, SettingsReload, Signals, Start, burning},
    panics,
    reload::{Notifiers, Reload},
    server::{Gateway, Requests, UnreloadablePages},
    terminal::{self, Banner, Keys, Terminal},
};

/// How long clients may take to read the host's answer after the app did not answer in time.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Serves until a signal, or until the host itself must be replaced. Runs on the main thread.
pub(crate) async fn run(options: Options) -> Result<Option<Restart>, BoxError> {
    panics::install();
    let mut signals = Signals::new()?;
    let _screen = terminal::open(options.json)?;
    let events = Events::default();
    events.emit(Event::Starting {
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
    });
    let mut running = assemble(Start::new(options, &events)?, events)?;
    let end = running.supervise(&mut signals).await;
    running.shut_down(end, &mut signals).await
}

/// Starts everything.
fn assemble(start: Start, events: Events) -> Result<Running, BoxError> {
    let Start {
        since,
        flags,
        settings: host,
        carried,
        project,
        env,
        image,
        listener,
        address,
        database,
        lock,
    } = start;
    let mode = host.mode;
    panics::belongs_to(&project);
    let (handle, db_config) = Handle::new(
        &database,
        (&project, host.migrate),
        &env,
        mode,
        carried.restarts,
        &events,
    )?;
    let app_url = database.app_url(mode, handle.endpoint.as_ref());
    // Set the variables of `.env` before app code runs. Programs that must not see them get the user's environment.
    environment::apply(&project.dotenv()?, app_url);
    let (generations, keeping) = (Generations::new(), Keeping::new(&project));
    let (report, report_rx) = watch::channel(Report::new(carried.reloads));
    let (settings, settings_rx) = watch::channel(Settings {
        env: env.clone(),
        entries: host.entries,
        db_config,
        environment: 0,
    });
    let (actions, actions_rx) = mpsc::unbounded_channel();
    let (health, health_rx) = watch::channel(Health::default());
    let (notifiers, end) = (Notifiers::default(), Arc::<Notify>::default());
    let (stop, retiring) = (CancellationToken::new(), TaskTracker::new());

    let judging = HealthInputs {
        access: handle.access.state(),
        schema: handle.schema.state(),
        report: report_rx.clone(),
        settings: settings_rx.clone(),
    }
    .keep_current(
        health,
        generations.clone(),
        handle.db.clone(),
        events.clone(),
    );
    let sources = Sources {
        health: health_rx,
        report: report_rx.clone(),
        schema: handle.schema.state(),
        settings: settings_rx.clone(),
        database: handle.clone(),
        generations: generations.clone(),
        kept: keeping.kept.clone(),
        journal: Arc::<Journal>::default(),
        requests: Arc::new(Requests::new(host.traces)),
        unreloadable: Arc::<UnreloadablePages>::default(),
        mode,
        editor: Editor {
            template: host.editor_url,
            root: project.root().to_owned(),
        },
        keep_memory_mb: host.keep_memory_mb,
        host: devtools::Host {
            address,
            since,
            restarts: carried.restarts,
            restarted: carried.why.clone(),
        },
    };
    let recording = sources.record();
    let gateway = {
        let (devtools, own) = Devtools::new(sources.clone(), actions.clone(), stop.clone())?;
        Arc::new(Gateway {
            generations: generations.clone(),
            report: sources.report,
            health: sources.health,
            schema: sources.schema,
            requests: sources.requests,
            unreloadable: sources.unreloadable,
            events: events.clone(),
            pages: Arc::new(devtools),
            own,
            hold: host.hold,
            names: host.allow,
        })
    };
    let accepting = tokio::net::TcpListener::from_std(listener.try_clone()?)?;
    let serving = tokio::spawn({
        let stop = stop.clone();
        let limits = Limits {
            // At the drain timeout the host answers open requests itself, and needs time to send those answers.
            drain: env.drain_timeout + LAST_ANSWERS,
            ..settings::limits(&env)
        };
        let answer: Answer =
            Arc::new(move |request, tether| gateway.clone().answer(request, tether).boxed());
        async move { host_accept::serve(&accepting, answer, stop, limits).await }
    });
    let printing = {
        let keys = Keys::read(address, actions, end.clone());
        let banner = Banner {
            since,
            address,
            database: database.describe(),
            restarts: carried.restarts,
            first: carried.last_id == 0,
            mode,
            keys: terminal::is_ours(),
        };
        Terminal::new(banner, keys, &handle, generations.clone()).show(events.subscribe())
    };
    let settings_reload = SettingsReload {
        settings,
        database: handle.clone(),
        project: project.clone(),
        flags: flags.clone(),
        mode,
        events: events.clone(),
        refused: false,
        waiting: Vec::new(),
    };
    let executable = image.executable();
    let reload = Reload {
        project,
        db: handle.db.clone(),
        schema: handle.schema.clone(),
        endpoint: handle.endpoint.clone(),
        settings: settings_rx,
        flags,
        mode,
        notifiers: notifiers.clone(),
        replay: host.replay,
        generations: generations.clone(),
        kept: keeping.kept.clone(),
        keep_memory_mb: host.keep_memory_mb,
        image,
        last_id: carried.last_id,
        environment: 0,
        report,
        events: events.clone(),
        retiring: retiring.clone(),
    };
    Ok(Running {
        reloading: tokio::spawn(reload.run(handle.clone().ready().boxed())),
        serving,
        printing: tokio::spawn(printing),
        background: [
            handle.watch().boxed(),
            judging.boxed(),
            recording.boxed(),
            burning::watch(generations.clone(), events).boxed(),
        ]
        .into_iter()
        .collect(),
        actions_rx,
        notifiers,
        end,
        settings_reload,
        stop,
        generations,
        keeping,
        retiring,
        drain: env.drain_timeout,
        report_rx,
        carried,
        executable,
        listener,
        database,
        lock,
    })
}

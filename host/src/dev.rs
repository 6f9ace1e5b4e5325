//! `host dev`: builds every part, starts its tasks and hands them to the [main loop](crate::lifecycle).
//!
//! The only place that knows both the services and those who show what they report.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::FutureExt;
use host_accept::{Answer, Limits};
use shared::BoxError;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{Options, Settings, environment, settings},
    database::Handle,
    devtools::{self, Devtools, Editor, Journal, Sources},
    events::{Event, Events, Report, Testing},
    generation::{self, Generations},
    health::Health,
    keep::Keeping,
    lifecycle::{Restart, Running, SettingsReload, Signals, Start, burning},
    logs, panics,
    reload::{Cookies, Notifiers, Reload},
    server::{Gateway, Requests, UnreloadablePages},
    services::Services,
    terminal::{self, Banner, Keys, Terminal},
    testing,
};

#[cfg(feature = "otlp")]
use crate::otlp::Traces;

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
    let mut say = |what| terminal::line(format_args!("{what}"));
    let start = tokio::select! {
        start = Start::new(options, &events, &mut say, terminal::confirm) => start?,
        signal = signals.next() => {
            say(format!("{signal}: stopped"));
            return Ok(None);
        }
    };
    let (mut running, last) = assemble(start, events)?;
    let end = running.supervise(&mut signals).await;
    let ended = running.shut_down(end, &mut signals).await;
    last.await;
    ended
}

/// Starts everything. Returns what is to be done at the very end, too.
fn assemble(start: Start, events: Events) -> Result<(Running, impl Future<Output = ()>), BoxError> {
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
        mut lock,
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
    environment::apply(project.root(), &project.dotenv()?, app_url);
    #[cfg(feature = "otlp")]
    let traces = Traces::of(env.otlp_endpoint.as_deref())?;
    let keeping = Keeping::new(&project);
    let (report, report_rx) = watch::channel(Report::new(carried.reloads));
    let (settings, settings_rx) = watch::channel(Settings {
        env: env.clone(),
        entries: host.entries,
        db_config,
        environment: 0,
        refused: None,
    });
    let (health, health_rx) = watch::channel(Health::default());
    let (testing, testing_rx) = watch::channel(Testing::default());
    let services = Services {
        flags,
        mode,
        generations: Generations::new(),
        kept: keeping.kept.clone(),
        events,
        report: report_rx,
        health: health_rx,
        testing: testing_rx,
        tests_on: watch::Sender::new(carried.tests.unwrap_or(host.test)),
        schema: handle.schema.state(),
        settings: settings_rx,
        database: handle,
        project,
    };
    let editor = Editor {
        template: host.editor_url,
        root: services.project.root().to_owned(),
    };
    logs::know(
        {
            let (editor, project) = (editor.clone(), services.project.clone());
            move |file, line| editor.url(project.named_by_rustc(file), line, 1)
        },
        generation::of_this_thread,
    );
    let (actions, actions_rx) = mpsc::unbounded_channel();
    let (notifiers, end) = (Notifiers::default(), Arc::<Notify>::default());
    let (stop, retiring) = (CancellationToken::new(), TaskTracker::new());
    let cookies = Cookies::new(services.project.root());

    let sources = Sources {
        services: services.clone(),
        journal: Arc::<Journal>::default(),
        requests: Arc::new(Requests::new(host.traces)),
        unreloadable: Arc::<UnreloadablePages>::default(),
        editor,
        morph: host.morph,
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
        let (devtools, own) = Devtools::new(
            sources.clone(),
            actions.clone(),
            stop.clone(),
            host.mcp.then(|| cookies.clone()),
        )?;
        lock.offer(address, devtools.token())?;
        Arc::new(Gateway {
            services: services.clone(),
            requests: sources.requests,
            unreloadable: sources.unreloadable,
            pages: Arc::new(devtools),
            own,
            bar: host.bar && host.traces > 0,
            hold: host.hold,
            #[cfg(feature = "otlp")]
            tracer: traces.as_ref().map(Traces::tracer),
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
        Terminal::new(banner, keys, &services).show(services.events.subscribe())
    };
    let executable = image.executable();
    let reload = Reload {
        services: services.clone(),
        notifiers: notifiers.clone(),
        cookies,
        replay: host.replay,
        keep_memory_mb: host.keep_memory_mb,
        first_heap_kb: OnceLock::new(),
        image,
        last_id: carried.last_id,
        environment: 0,
        report,
        retiring: retiring.clone(),
    };
    let ready = services.database.clone().ready().boxed();
    #[cfg(feature = "otlp")]
    let last = Traces::end_of(traces);
    #[cfg(not(feature = "otlp"))]
    let last = std::future::ready(());
    let running = Running {
        reloading: tokio::spawn(reload.run(ready)),
        serving,
        printing: tokio::spawn(printing),
        background: [
            services.database.clone().watch().boxed(),
            services.judge(health).boxed(),
            recording.boxed(),
            testing::watch(services.clone(), testing).boxed(),
            burning::watch(services.generations.clone(), services.events.clone()).boxed(),
        ]
        .into_iter()
        .collect(),
        actions_rx,
        notifiers,
        end,
        settings_reload: SettingsReload::new(services.clone(), settings),
        stop,
        keeping,
        retiring,
        drain: env.drain_timeout,
        carried,
        executable,
        listener,
        database,
        lock,
        services,
    };
    Ok((running, last))
}

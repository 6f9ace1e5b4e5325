//! Starts every task of the host, each with an owner that ends it: serving, reloading, and everything that watches
//! them.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use host_accept::{Answer, Limits};
use shared::BoxError;
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    access::{self, Access},
    burning,
    connection::{Connection, application_name},
    database::make_plain_role,
    health::{Health, HealthInputs},
    journal::Journal,
    observer::Observer,
    options::Options,
    probe::probe,
    requests::Requests,
    running::{Notifiers, Running},
    schema::Schema,
    settings_reload::SettingsReload,
    start::Start,
    status::Sources,
    terminal::{self, Terminal, banner::Banner, keys::Keys, screen},
    web::{self, Editor},
};
use crate::{
    environment,
    generation::Generations,
    migrate,
    reload::{Reload, Report, Settings},
    settings,
};

/// How long clients may take to read the host's answer after the app did not answer in time.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Starts everything.
pub(super) fn assemble(start: Start) -> Result<Running, BoxError> {
    let Start {
        since,
        options,
        carried,
        project,
        env,
        image,
        listener,
        address,
        mode,
        database,
        lock,
    } = start;
    let name = application_name(&carried);
    let Connection {
        db,
        db_config,
        observer,
        refusals_rx,
    } = Connection::prepare(&database, &env, mode, name);
    let access = Arc::<Access>::default();
    if database.is_ours() {
        access.set_cluster(access::Cluster::Starting);
    }
    let schema = Schema::new(
        project.clone(),
        options.migrate,
        db.clone(),
        !mode.is_demonstration(),
        access.clone(),
        (database.url(), env.clone()),
    );
    let Options {
        replay,
        flags,
        hold,
        editor_url,
        allow_host,
        keep_memory,
        ..
    } = options;
    let executable = image.executable();
    let keep_memory_mb = (keep_memory > 0).then_some(keep_memory);

    // Set the variables of `.env` before app code runs. Programs that must not see them get the user's environment.
    environment::apply_dotenv(&project.dotenv()?);
    let generations = Generations::new();
    let (report, report_rx) = watch::channel(Report::new(carried.reloads));
    let (events, events_rx) = mpsc::unbounded_channel();
    let (settings, settings_rx) = watch::channel(Settings {
        env: env.clone(),
        db_config,
        environment: 0,
    });
    let (actions, actions_rx) = mpsc::unbounded_channel();
    let notifiers = Notifiers::default();
    let (stop, retiring) = (CancellationToken::new(), TaskTracker::new());

    let journal = Arc::<Journal>::default();
    let recording =
        journal
            .clone()
            .record(report_rx.clone(), refusals_rx.clone(), observer.clone());
    let polling = schema.clone().poll_while_blocked();
    let probing = probe(db.clone(), schema.clone(), access.clone());
    let (health, health_rx) = watch::channel(Health::default());
    let judging = HealthInputs {
        access: access.state(),
        schema: schema.state(),
        report: report_rx.clone(),
        settings: settings_rx.clone(),
    }
    .keep_current(health, generations.clone(), db.clone());
    let sources = Sources {
        health: health_rx.clone(),
        report: report_rx.clone(),
        refusals: refusals_rx.clone(),
        schema: schema.state(),
        settings: settings_rx.clone(),
        generations: generations.clone(),
        journal,
        requests: Arc::<Requests>::default(),
        unreloadable: Arc::<web::UnreloadablePages>::default(),
        db: db.clone(),
        observer: observer.clone(),
        mode,
        address,
        editor: Editor {
            template: editor_url,
            root: project.root().to_owned(),
        },
        since,
        restarts: carried.restarts,
        restarted: carried.why.clone(),
        keep_memory_mb,
    };
    let front = web::front(web::Parts {
        sources,
        schema: schema.clone(),
        actions: actions.clone(),
        stop: stop.clone(),
        hold,
        names: allow_host,
    })?;
    let accepting = tokio::net::TcpListener::from_std(listener.try_clone()?)?;
    let serving = tokio::spawn({
        let stop = stop.clone();
        let limits = Limits {
            // At the drain timeout the host answers open requests itself, and needs time to send those answers.
            drain: env.drain_timeout + LAST_ANSWERS,
            ..settings::limits(&env)
        };
        let answer: Answer =
            Arc::new(move |request, tether| front.clone().answer(request, tether).boxed());
        async move { host_accept::serve(&accepting, answer, stop, limits).await }
    });

    let keys = Keys::read(address, actions, notifiers.end.clone());
    let banner = Banner {
        since,
        address,
        database: database.describe(),
        restarts: carried.restarts,
        first: carried.last_id == 0,
        mode,
        keys: screen::is_ours(),
    };
    let terminal = Terminal::new(banner, db.clone(), observer.clone(), generations.clone());

    let settings_reload = SettingsReload {
        settings,
        db: db.clone(),
        flags: flags.clone(),
        mode,
        schema: schema.clone(),
        access: access.clone(),
        refused: false,
    };
    let ready = ready(
        access.clone(),
        schema.clone(),
        observer.clone(),
        mode.is_demonstration() && database.is_ours(),
    );
    let reload = Reload {
        root: project.root().to_owned(),
        db: db.clone(),
        settings: settings_rx,
        settings_saved: notifiers.settings_saved.clone(),
        cleaned: notifiers.cleaned.clone(),
        rebuild: notifiers.rebuild.clone(),
        replay,
        pool_owner: mode.pool,
        isolation: mode.isolation,
        generations: generations.clone(),
        keep_memory_mb,
        image,
        last_id: carried.last_id,
        environment: 0,
        report,
        events,
        update_schema: Box::new(move || {
            let schema = schema.clone();
            async move { schema.sync().await }.boxed()
        }),
        may_restart: Box::new({
            let project = project.clone();
            move || {
                settings::read(project.dotenv()?, &flags)?;
                migrate::load(&project.migrations())?;
                Ok(())
            }
        }),
        retiring: retiring.clone(),
    };
    Ok(Running {
        reloading: tokio::spawn(reload.run(ready.boxed())),
        access,
        serving,
        printing: tokio::spawn(terminal.show(events_rx, refusals_rx, health_rx)),
        background: [
            probing.boxed(),
            judging.boxed(),
            recording.boxed(),
            polling.boxed(),
            burning::watch(generations.clone()).boxed(),
        ]
        .into_iter()
        .collect(),
        keys,
        actions_rx,
        notifiers,
        settings_reload,
        stop,
        generations,
        retiring,
        db,
        drain: env.drain_timeout,
        report_rx,
        project,
        carried,
        executable,
        listener,
        database,
        lock,
    })
}

/// What the first build waits for: a database that answers and is migrated.
async fn ready(
    access: Arc<Access>,
    schema: Arc<Schema>,
    observer: Arc<Observer>,
    plain_role: bool,
) {
    access.until_started().await;
    // If the observer has its own connection, open it now, while there is a free slot.
    drop(observer.count().await);
    if plain_role {
        let (url, env) = schema.place();
        if let Err(error) = make_plain_role(&url, &env).await {
            terminal::line(format_args!("✗ no role for the app: {error}"));
        }
    }
    schema.sync_until_reachable().await;
}

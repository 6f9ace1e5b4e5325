//! Puts the two streets together with what looks on: starts every task of the host, each with an owner that ends it.

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
    follow::Follow,
    health::{Health, Signs},
    journal::Journal,
    observer::Observer,
    options::Options,
    probe::probe,
    requests::Requests,
    running::{Bells, Running},
    schema::Schema,
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

/// How long clients may take to read what the host says in place of an app that did not answer in time.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Runs all of it.
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
        refused,
    } = Connection::prepare(&database, &env, mode, name);
    let access = Arc::<Access>::default();
    if database.is_ours() {
        access.cluster_is(access::Cluster::Starting);
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

    // Before there is any app. Programs that must not see them are started with the user's environment.
    environment::apply_dotenv(&project.dotenv()?);
    let generations = Generations::new();
    let (report, reported) = watch::channel(Report::new(carried.reloads));
    let (events, happened) = mpsc::unbounded_channel();
    let (settings, current) = watch::channel(Settings {
        env: env.clone(),
        db_config,
        environment: 0,
    });
    let (actions, asked) = mpsc::unbounded_channel();
    let bells = Bells::default();
    let (stop, retiring) = (CancellationToken::new(), TaskTracker::new());

    let journal = Arc::<Journal>::default();
    let writing = journal
        .clone()
        .write(reported.clone(), refused.clone(), observer.clone());
    let looking = schema.clone().look_while_blocked();
    let probing = probe(db.clone(), schema.clone(), access.clone());
    let (health, healthy) = watch::channel(Health::default());
    let judging = Signs {
        access: access.state(),
        schema: schema.state(),
        report: reported.clone(),
        settings: current.clone(),
    }
    .follow(health, generations.clone());
    let sources = Sources {
        health: healthy.clone(),
        report: reported.clone(),
        refusals: refused.clone(),
        schema: schema.state(),
        settings: current.clone(),
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
            // What is not answered by then is answered in the app's stead, and that answer must get out.
            drain: env.drain_timeout + LAST_ANSWERS,
            ..settings::limits(&env)
        };
        let answer: Answer =
            Arc::new(move |request, tether| front.clone().answer(request, tether).boxed());
        async move { host_accept::serve(&accepting, answer, stop, limits).await }
    });

    let keys = Keys::read(address, actions, bells.end.clone());
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

    let follow = Follow {
        settings,
        db: db.clone(),
        flags: flags.clone(),
        mode,
        schema: schema.clone(),
        access: access.clone(),
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
        settings: current,
        settings_saved: bells.settings_saved.clone(),
        cleaned: bells.cleaned.clone(),
        rebuild: bells.rebuild.clone(),
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
            async move { schema.follow().await }.boxed()
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
        onlookers: vec![
            tokio::spawn(terminal.show(happened, refused, healthy)),
            tokio::spawn(probing),
            tokio::spawn(judging),
            tokio::spawn(writing),
            tokio::spawn(looking),
            tokio::spawn(burning::watch(generations.clone())),
        ],
        keys,
        asked,
        bells,
        follow,
        stop,
        generations,
        retiring,
        db,
        drain: env.drain_timeout,
        reported,
        project,
        carried,
        executable,
        listener,
        database,
        lock,
    })
}

/// What the first build waits for: a database that answers and is what `migrations/` says.
async fn ready(
    access: Arc<Access>,
    schema: Arc<Schema>,
    observer: Arc<Observer>,
    plain_role: bool,
) {
    access.started().await;
    // Opens its connection if it has one of its own: while there is room for it.
    drop(observer.count().await);
    if plain_role {
        let (url, env) = schema.place();
        if let Err(error) = make_plain_role(&url, &env).await {
            terminal::line(format_args!("✗ no role for the app: {error}"));
        }
    }
    schema.first().await;
}

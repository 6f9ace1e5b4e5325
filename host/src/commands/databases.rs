//! The commands that replace or keep what is in the development database: `db-reset`, `db-snapshot`, `db-restore`; and
//! those for what is kept beside it: `db-list`, `db-drop`.
//!
//! A database is copied only while nobody is connected to it. A running host therefore does it itself, between two
//! requests; without one the command does.

use std::{io::Write, time::Duration};

use shared::{
    BoxError,
    db::describe,
    env::{AppEnv, Env},
};
use shared_migrate::Style;

use super::{here, printing};
use crate::{
    config::{Project, RunningHost},
    database::{Copies, Database, Owner, on_watched_connection},
    events::{Event, Events},
    terminal,
};

/// For a copy that the host makes: a large database on a slow disk.
const COPY_LIMIT: Duration = Duration::from_mins(10);

/// With the owner's right to it: a hosted database has extensions and schemas of its provider. In one transaction.
const DROP_EVERYTHING: &str = "\
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' AND pg_has_role(extowner, 'USAGE') LOOP
        EXECUTE format('DROP EXTENSION IF EXISTS %I CASCADE', name);
    END LOOP;
    FOR name IN SELECT nspname FROM pg_namespace WHERE nspname = 'public'
        OR nspname !~ '^pg_' AND nspname <> 'information_schema' AND pg_has_role(nspowner, 'USAGE') LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', name);
    END LOOP;
END $$;
CREATE SCHEMA public;
GRANT USAGE ON SCHEMA public TO PUBLIC";

/// `host db-reset`: drops everything, migrates again and runs the seeds. A database other than the private cluster must
/// be confirmed by name.
pub(crate) async fn reset(confirmed: Option<String>) -> Result<(), BoxError> {
    let (project, env) = here()?;
    if env.app_env == AppEnv::Production {
        return Err(
            "APP_ENV is production: db-reset drops everything and is for development".into(),
        );
    }
    if let Some(url) = &env.database_url {
        let name = url.config().get_dbname().unwrap_or_default();
        if confirmed.as_deref() != Some(name) {
            return Err(format!("DATABASE_URL is set: this would drop everything in {url}. If you mean it: cargo host db-reset --confirm {name}").into());
        }
    }
    printing(async |events| {
        let database = Database::find_or_borrow(&project, &env, events).await?;
        on_watched_connection(
            &database.url(),
            &env,
            (events, Style::default()),
            async |client| {
                Ok(client
                    .batch_execute(DROP_EVERYTHING)
                    .await
                    .map_err(|error| describe(&error))?)
            },
        )
        .await?;
        let place = env.database_url.as_ref().map(ToString::to_string);
        let place = place.unwrap_or_else(|| "the private PostgreSQL".to_owned());
        events.emit(Event::Dropped { place });
        database.migrate(&project, &env, events).await?;
        database.seed(&project, &env, events).await
    })
    .await
}

/// `host db-snapshot`.
pub(crate) async fn snapshot(name: &str) -> Result<(), BoxError> {
    let owner = Owner::snapshot(name)?;
    let alone = async |_: &Project, database: &Database, env: &Env, _: &Events| {
        let copy = async |copies: Copies<'_>| copies.snapshot(&owner).await;
        database.with_copies(env, copy).await
    };
    let name = name.to_owned();
    ask_or_do(
        ("snapshot", &name.clone()),
        alone,
        Event::SnapshotMade { name },
    )
    .await
}

/// `host db-restore`.
pub(crate) async fn restore(name: &str) -> Result<(), BoxError> {
    let owner = Owner::snapshot(name)?;
    let alone = async |project: &Project, database: &Database, env: &Env, events: &Events| {
        let copy = async |copies: Copies<'_>| copies.restore(&owner).await;
        database.with_copies(env, copy).await?;
        database.migrate(project, env, events).await
    };
    let name = name.to_owned();
    ask_or_do(
        ("restore", &name.clone()),
        alone,
        Event::SnapshotRestored { name },
    )
    .await
}

/// `host db-list`.
pub(crate) async fn list() -> Result<(), BoxError> {
    let (project, env) = here()?;
    refuse_servers(&env)?;
    let all = printing(async |events| {
        let database = Database::find_or_borrow(&project, &env, events).await?;
        let list = async |copies: Copies<'_>| {
            let mut all = Vec::new();
            for it in copies.list().await? {
                all.push((
                    copies.size(&it.name).await?,
                    copies.is_in_use(&it),
                    it.owner,
                ));
            }
            Ok(all)
        };
        database.with_copies(&env, list).await
    })
    .await?;
    let mut out = anstream::stdout();
    if all.is_empty() {
        writeln!(out, "no snapshots, and no databases of branches")?;
    }
    for (bytes, in_use, owner) in all {
        let (megabytes, mark) = (bytes as f64 / 1e6, if in_use { "   in use" } else { "" });
        writeln!(out, "{:<40} {megabytes:>8.1} MB{mark}", owner.to_string())?;
    }
    Ok(())
}

/// `host db-drop`.
pub(crate) async fn drop(branch: Option<String>, snapshot: Option<String>) -> Result<(), BoxError> {
    let owner = match (branch, snapshot) {
        (Some(branch), None) => Owner::Branch(branch),
        (None, Some(snapshot)) => Owner::Snapshot(snapshot),
        _ => unreachable!("the command line takes one of the two"),
    };
    let (project, env) = here()?;
    refuse_servers(&env)?;
    printing(async |events| {
        let database = Database::find_or_borrow(&project, &env, events).await?;
        database
            .with_copies(&env, async |copies| copies.drop(&owner).await)
            .await
    })
    .await?;
    terminal::line(format_args!("dropped {owner}"));
    Ok(())
}

/// Asks the running host for it, or does it; then says that it is `done`.
async fn ask_or_do(
    (action, name): (&'static str, &str),
    alone: impl AsyncFnOnce(&Project, &Database, &Env, &Events) -> Result<(), BoxError>,
    done: Event,
) -> Result<(), BoxError> {
    let (project, env) = here()?;
    refuse_servers(&env)?;
    printing(async |events| {
        match project.running() {
            Ok(host) => ask(host, action, name.to_owned()).await?,
            Err(_) => {
                let database = Database::find_or_borrow(&project, &env, events).await?;
                alone(&project, &database, &env, events).await?;
            }
        }
        events.emit(done);
        Ok(())
    })
    .await
}

/// As a button of the dashboard does.
async fn ask(host: RunningHost, action: &'static str, name: String) -> Result<(), BoxError> {
    let token = host
        .token
        .ok_or("`host dev` is starting: try again in a moment")?;
    let url = format!("http://{}/__dev/actions/{action}", host.address);
    // A blocking client is enough: the command has nothing else to do.
    let answer = tokio::task::spawn_blocking(move || {
        let answer = ureq::post(&url)
            .config()
            .timeout_global(Some(COPY_LIMIT))
            .http_status_as_error(false)
            .build()
            .send_form([("token", token), ("name", name)]);
        let mut answer =
            answer.map_err(|error| format!("the running host does not answer: {error}"))?;
        let text = answer.body_mut().read_to_string();
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(text.unwrap_or_else(|error| error.to_string())),
        }
    });
    Ok(answer.await??)
}

fn refuse_servers(env: &Env) -> Result<(), BoxError> {
    match env.database_url {
        None => Ok(()),
        Some(_) => Err("this is for the private PostgreSQL, and DATABASE_URL names another server: use pg_dump and pg_restore".into()),
    }
}

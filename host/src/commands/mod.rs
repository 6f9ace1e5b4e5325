//! The commands that need the database but not the app: `migrate`, `psql`, `url`, and those of `databases`.
//!
//! While a host runs they use its cluster; otherwise they start the cluster and stop it again.

mod databases;

pub(crate) use databases::{drop, list, reset, restore, snapshot};

use std::{
    fs::{self, File},
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, ExitCode},
};

use shared::{BoxError, db::DatabaseUrl, env::Env};
use shared_cluster::Binaries;
use shared_migrate as migrate;
use tokio_postgres::config::Host;

use crate::{
    config::{Flags, Project, settings},
    database::{Database, offered},
    events::Events,
    lifecycle::Signals,
    terminal,
};

/// `host migrate`.
pub(crate) async fn migrate() -> Result<(), BoxError> {
    let (project, env) = here()?;
    printing(async |events| {
        let database = Database::find_or_borrow(&project, &env, events).await?;
        database.migrate(&project, &env, events).await
    })
    .await?;
    let files = migrate::load(&project.migration_source())?;
    for file in files.unfinished() {
        terminal::line(format_args!(
            "left out, since it has no statement yet: {file}"
        ));
    }
    for migrate::Ignored { file, why } in &files.ignored {
        terminal::line(format_args!("left out: {file} {why}"));
    }
    terminal::line(format_args!("the database is up to date"));
    Ok(())
}

/// `host migration`: creates the next file, empty, and the one to undo it if the others have one. An empty file is not a
/// migration yet.
pub(crate) fn migration(name: &str) -> Result<(), BoxError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || !name.chars().all(fits) {
        return Err(format!(
            "`{name}` is not a migration name: use lowercase letters, digits and _, for example {}",
            suggestion(name)
        )
        .into());
    }
    let (project, _) = here()?;
    if project.migrations().is_none() {
        return Err("this project has no migrations: HOST_MIGRATIONS is none".into());
    }
    let files = migrate::next(&project.migration_source(), name)?;
    for file in &files {
        let path = project.root().join(file);
        let folder = path.parent().unwrap_or(project.root());
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        File::create_new(&path).map_err(|error| format!("{file}: {error}"))?;
    }
    if let [file, others @ ..] = &files[..] {
        terminal::line(format_args!(
            "{file} is made: write SQL into it; `cargo dev` applies it once it is saved, or `cargo host migrate`"
        ));
        for file in others {
            terminal::line(format_args!(
                "{file} is made for the way back; the dev server never runs it"
            ));
        }
    }
    Ok(())
}

/// What comes closest to `name`.
fn suggestion(name: &str) -> String {
    let lower = name.trim().to_ascii_lowercase();
    let fitting = lower.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    match fitting.chars().any(char::is_alphanumeric) {
        true => fitting,
        false => "add_colour".to_owned(),
    }
}

/// `host psql`. Replaces this process, unless the cluster has to be stopped afterwards.
pub(crate) async fn psql(arguments: Vec<String>) -> Result<ExitCode, BoxError> {
    let (project, env) = here()?;
    let database =
        printing(async |events| Database::find_or_borrow(&project, &env, events).await).await?;
    let beside_postgres = Binaries::find(None)
        .map(|binaries| binaries.program("psql"))
        .ok()
        .filter(|psql| psql.is_file());
    let mut psql = Command::new(beside_postgres.as_deref().unwrap_or(Path::new("psql")));
    psql.args(arguments);
    pass_connection(&mut psql, &database.url());
    if !database.is_ours() {
        return Err(format!(
            "cannot run psql: {}; install postgresql-client",
            psql.exec()
        )
        .into());
    }
    // Ctrl-C at psql's prompt is for psql: handling the signal here keeps it from ending this process and the cluster.
    let _ours = Signals::new()?;
    let status = psql
        .status()
        .map_err(|error| format!("cannot run psql: {error}; install postgresql-client"))?;
    Ok(ExitCode::from(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1),
    ))
}

/// `host url`: prints the `DATABASE_URL` that the app has, for tools such as `cargo sqlx prepare`.
pub(crate) async fn url() -> Result<(), BoxError> {
    let (project, env) = here()?;
    project.running()?;
    let database =
        printing(async |events| Database::find_or_borrow(&project, &env, events).await).await?;
    let url = offered(project.root(), &database.url()).ok_or(
        "the running host does not offer the database to other programs: it runs in a leak mode or behind a pooler",
    )?;
    writeln!(anstream::stdout(), "{url}")?;
    Ok(())
}

/// Through the environment: everyone can read arguments in the process list.
fn pass_connection(command: &mut Command, url: &DatabaseUrl) {
    let config = url.config();
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    let addresses = config.get_hostaddrs().iter().map(ToString::to_string);
    let ports = config.get_ports().iter().map(u16::to_string);
    let listed = |all: Vec<String>| (!all.is_empty()).then(|| all.join(","));
    let password = config
        .get_password()
        .map(|password| String::from_utf8_lossy(password).into_owned());
    let (mode, root) = url.sslmode();
    for (name, value) in [
        ("PGHOST", listed(hosts.collect())),
        ("PGHOSTADDR", listed(addresses.collect())),
        ("PGPORT", listed(ports.collect())),
        ("PGUSER", config.get_user().map(str::to_owned)),
        ("PGPASSWORD", password),
        ("PGDATABASE", config.get_dbname().map(str::to_owned)),
        ("PGSSLMODE", Some(mode.to_owned())),
        ("PGSSLROOTCERT", root.map(str::to_owned)),
        // A service would override the rest.
        ("PGSERVICE", None),
    ] {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
}

fn here() -> Result<(Project, Env), BoxError> {
    let mut project = Project::find()?;
    let (env, host) = settings::read_dev(&project, project.dotenv()?, &Flags::default(), &[])?;
    if !host.database {
        return Err("this project runs without a database: HOST_DATABASE is none".into());
    }
    project.configure(&host);
    // A running host may have it by a flag.
    let follows = || project.running().is_ok_and(|host| host.branch_databases);
    if env.database_url.is_none() && (host.branch_databases || follows()) {
        project.follow_branches()?;
    }
    Ok((project, env))
}

/// Prints what is reported while `work` runs.
async fn printing<T>(work: impl AsyncFnOnce(&Events) -> T) -> T {
    let events = Events::default();
    let printed = terminal::print_all(events.subscribe());
    let working = async {
        let done = work(&events).await;
        events.close();
        done
    };
    let (done, ()) = tokio::join!(working, printed);
    done
}

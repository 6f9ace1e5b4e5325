//! The database this checkout develops on: the one in `DATABASE_URL`, or the private cluster.
//!
//! Also the commands that need only it and no app: `migrate`, `psql`, `db-reset`.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, ExitCode},
    time::Duration,
};

use shared::{
    BoxError,
    db::{DatabaseUrl, DbConfig, describe},
    env::{AppEnv, Env},
};
use tokio_postgres::{Client, NoTls, config::Host};

use super::{project::Project, terminal};
use crate::{
    migrate::{self, MigrateError},
    postgres::{Binaries, Cluster, url_of},
    settings::{self, Flags},
};

/// A role for the app that may read and write every table, and is no superuser.
const PLAIN_ROLE: &str = "app";
const MAKE_PLAIN_ROLE: &str = "
    DO $$ BEGIN CREATE ROLE app LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
    GRANT pg_read_all_data, pg_write_all_data TO app";

/// How often, and after what pause, a cluster that has crashed is started again.
const REVIVALS: usize = 10;
const REVIVAL_PAUSE: Duration = Duration::from_millis(300);

/// Where the data is, and the server if it is ours.
pub(crate) struct Database {
    url: DatabaseUrl,
    /// Stopped when this is dropped.
    cluster: Option<Cluster>,
}

impl Database {
    /// Starts the private cluster unless `DATABASE_URL` names a server. From the main thread, as `Cluster::start`.
    pub(crate) fn find_or_start(
        project: &Project,
        env: &Env,
        max_connections: Option<u16>,
    ) -> Result<Self, BoxError> {
        if let Some(url) = &env.database_url {
            return Ok(Self {
                url: url.clone(),
                cluster: None,
            });
        }
        let cluster = Cluster::start(project.root(), max_connections)?;
        Ok(Self {
            url: cluster.url(),
            cluster: Some(cluster),
        })
    }

    /// The same for a short command: beside a running host it uses the cluster of that host.
    fn find_or_borrow(project: &Project, env: &Env) -> Result<Self, BoxError> {
        match (&env.database_url, project.running()) {
            (None, Ok(_)) => Ok(Self {
                url: url_of(project.root())?,
                cluster: None,
            }),
            _ => Self::find_or_start(project, env, None),
        }
    }

    pub(crate) fn url(&self) -> DatabaseUrl {
        self.url.clone()
    }

    /// The same database for a role that is no superuser, as an application's is: PostgreSQL keeps its last slots for
    /// superusers. A role of the private cluster, made here; a given URL decides for itself.
    pub(crate) async fn url_of_a_plain_role(&self, env: &Env) -> Result<DatabaseUrl, BoxError> {
        let Some(cluster) = &self.cluster else {
            return Ok(self.url());
        };
        on_connection(&self.url, env, async |client| {
            Ok(client
                .batch_execute(MAKE_PLAIN_ROLE)
                .await
                .map_err(|error| describe(&error))?)
        })
        .await?;
        Ok(cluster.url_for(PLAIN_ROLE))
    }

    /// For the banner.
    pub(crate) fn describe(&self) -> String {
        match &self.cluster {
            Some(cluster) => format!(
                "{} · private cluster in .dev/postgres · open it with `just psql`",
                cluster.version()
            ),
            None => format!("{} (DATABASE_URL)", self.url),
        }
    }

    /// Applies what is pending, on a connection that is closed again: the pool stays unopened until the first query.
    pub(crate) async fn migrate(&self, project: &Project, env: &Env) -> Result<(), BoxError> {
        let migrations = migrate::load(&project.migrations())?;
        let applied = on_connection(&self.url, env, async |client| {
            Ok(migrate::run(client, &migrations).await?)
        })
        .await?;
        for name in applied {
            terminal::line(format_args!("migrated {name}"));
        }
        Ok(())
    }

    /// Brings the private cluster back if it has ended by itself. The pool reconnects with the next query.
    pub(crate) async fn revive(&mut self) {
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        for _ in 0..REVIVALS {
            match cluster.revive() {
                Ok(false) => return,
                Ok(true) => {
                    terminal::line(format_args!(
                        "PostgreSQL had ended by itself; it runs again"
                    ));
                    return;
                }
                // Its children may still be ending, and hold the shared memory until they have.
                Err(error) => {
                    tracing::warn!("PostgreSQL has ended by itself and does not start: {error}")
                }
            }
            tokio::time::sleep(REVIVAL_PAUSE).await;
        }
    }

    /// Leaves the cluster to the next image of this process.
    pub(crate) fn keep_running(self) {
        if let Some(cluster) = self.cluster {
            cluster.keep_running();
        }
    }
}

/// Runs `work` on a connection of its own and waits until that is closed.
async fn on_connection<T>(
    url: &DatabaseUrl,
    env: &Env,
    work: impl AsyncFnOnce(&mut Client) -> Result<T, BoxError>,
) -> Result<T, BoxError> {
    let config = DbConfig::new(
        env,
        url.clone(),
        format!("host-migrate:{}", std::process::id()),
    );
    let (mut client, connection) = config
        .connection()
        .connect(NoTls)
        .await
        .map_err(MigrateError::Connect)?;
    let driver = tokio::spawn(connection);
    let result = work(&mut client).await;
    drop(client);
    // Its errors were the client's errors already.
    drop(driver.await);
    result
}

/// `host migrate`.
pub(crate) async fn migrate() -> Result<(), BoxError> {
    let (project, env) = here()?;
    Database::find_or_borrow(&project, &env)?
        .migrate(&project, &env)
        .await?;
    terminal::line(format_args!("the database is up to date"));
    Ok(())
}

/// `host db-reset`: everything is dropped and made again. Only on a cluster that is ours, or by its name.
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
            return Err(format!("DATABASE_URL is set: this would drop everything in {url}. If you mean it: just db-reset --confirm {name}").into());
        }
    }
    let database = Database::find_or_borrow(&project, &env)?;
    on_connection(&database.url, &env, async |client| {
        Ok(client
            .batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            .await
            .map_err(|error| describe(&error))?)
    })
    .await?;
    terminal::line(format_args!("dropped everything in {}", database.url));
    database.migrate(&project, &env).await
}

/// `host psql`. Replaces this process, unless the cluster has to be stopped afterwards.
pub(crate) fn psql(arguments: Vec<String>) -> Result<ExitCode, BoxError> {
    let (project, env) = here()?;
    let database = Database::find_or_borrow(&project, &env)?;
    let beside_postgres = Binaries::find(None)
        .map(|binaries| binaries.program("psql"))
        .ok()
        .filter(|psql| psql.is_file());
    let mut psql = Command::new(beside_postgres.as_deref().unwrap_or(Path::new("psql")));
    psql.args(arguments);
    pass_connection(&mut psql, database.url.config());
    if database.cluster.is_none() {
        return Err(format!(
            "cannot run psql: {}; install postgresql-client",
            psql.exec()
        )
        .into());
    }
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

/// Through the environment: arguments are for everybody to read in the process list.
fn pass_connection(command: &mut Command, config: &tokio_postgres::Config) {
    let host = config.get_hosts().first().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    let port = config.get_ports().first().map(u16::to_string);
    let password = config
        .get_password()
        .map(|password| String::from_utf8_lossy(password).into_owned());
    let (user, database) = (
        config.get_user().map(str::to_owned),
        config.get_dbname().map(str::to_owned),
    );
    for (name, value) in [
        ("PGHOST", host),
        ("PGPORT", port),
        ("PGUSER", user),
        ("PGPASSWORD", password),
        ("PGDATABASE", database),
    ] {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
}

fn here() -> Result<(Project, Env), BoxError> {
    let project = Project::find()?;
    let env = settings::read(project.dotenv()?, &Flags::default())?;
    Ok((project, env))
}

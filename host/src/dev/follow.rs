//! Follows `.env` while the host runs: another database, other limits, without a restart.
//!
//! The new settings are validated and the new database is migrated before anything is touched. Then the pool is
//! replaced by draining the old one: statements under way are answered, its connection closes, and the next query
//! opens one to the new place. From that moment the new settings are in force, and so the ones that the file is
//! compared with, whatever becomes of their database. What cannot follow is said.

use std::{net::IpAddr, sync::Arc, time::Duration};

use shared::{BoxError, Db, db::DbConfig, env::Env};
use tokio::sync::watch;

use super::{
    access::Access, database::Database, mode::Mode, project::Project, schema::Schema,
    terminal::line,
};
use crate::{
    environment,
    reload::Settings,
    settings::{self, Flags},
};

/// What is needed to follow.
pub(crate) struct Follow {
    pub(crate) settings: watch::Sender<Settings>,
    pub(crate) db: Db,
    pub(crate) flags: Flags,
    pub(crate) mode: Mode,
    pub(crate) schema: Arc<Schema>,
    pub(crate) access: Arc<Access>,
}

impl Follow {
    /// Whether a host that starts now could read its settings.
    pub(crate) fn settings_are_fine(&self, project: &Project) -> Result<(), BoxError> {
        settings::read(project.dotenv()?, &self.flags)?;
        Ok(())
    }

    /// Reads the settings again and applies what has changed; if it cannot, all stays as it was. Returns whether the
    /// app finds other variables now.
    pub(crate) async fn follow(&self, project: &Project, database: &mut Database) -> bool {
        self.apply(project, database).await.unwrap_or_else(|error| {
            line(format_args!(
                "✗ .env: {error}\n          keeping the previous settings; correct .env and save it"
            ));
            false
        })
    }

    async fn apply(&self, project: &Project, database: &mut Database) -> Result<bool, BoxError> {
        let file = project.dotenv()?;
        let env = settings::read(file.clone(), &self.flags)?;
        let Settings {
            env: before,
            db_config: before_config,
            environment,
        } = self.settings.borrow().clone();
        if listening(&env) != listening(&before) {
            line(format_args!(
                ".env: HOST, PORT and HTTP_… take effect when you restart the host"
            ));
        }
        let env = Arc::new(env);
        let moves = concerns_database(&env, &before);
        let db_config = if moves {
            self.move_to(&env, project, database).await?
        } else {
            before_config
        };
        let changed = environment::apply_dotenv(&file);
        // Generations get them at their start; those that run keep what they were given.
        if changed || env != before {
            self.settings.send_replace(Settings {
                env,
                db_config,
                environment: environment + u64::from(changed),
            });
        }
        if moves {
            self.schema.follow().await;
        }
        Ok(changed)
    }

    /// Moves the pool to the database of `env`, or leaves all as it is.
    async fn move_to(
        &self,
        env: &Arc<Env>,
        project: &Project,
        database: &mut Database,
    ) -> Result<DbConfig, BoxError> {
        if self.mode.is_demonstration() {
            return Err("this mode chooses its database when it starts: restart the host".into());
        }
        let url = database.place(project, env, &self.access).await?;
        self.schema.prepare((url.clone(), env.clone())).await?;
        let before = self.settings.borrow().db_config.clone();
        let config = DbConfig {
            on_refusal: before.on_refusal,
            ..DbConfig::new(env, url.clone(), before.application_name)
        };
        self.db.replace(&config).await?;
        line(format_args!(
            ".env: connection pool replaced; the next query connects to {url}"
        ));
        self.schema.moved_to(url.clone(), env.clone());
        database.moved_to(url, &self.access);
        Ok(config)
    }
}

/// What the socket and its connections are made of.
fn listening(env: &Env) -> (IpAddr, u16, usize, Duration) {
    (
        env.host,
        env.port,
        env.http_max_connections,
        env.http_header_timeout,
    )
}

fn concerns_database(env: &Env, before: &Env) -> bool {
    let of = |env: &Env| {
        (
            env.database_url.clone(),
            env.database_max_connections,
            env.database_connect_timeout,
            env.database_wait_timeout,
            env.database_statement_timeout,
            env.database_pipeline,
        )
    };
    of(env) != of(before)
}

//! Follows `.env` while the host runs: another database, other limits, without a restart.
//!
//! The new settings are validated and the new database is migrated before anything is touched. Then the pool is
//! replaced by draining the old one: statements under way are answered, its connection closes, and the next query
//! opens one to the new place. What cannot follow is said.

use std::{net::IpAddr, sync::Arc, time::Duration};

use shared::{BoxError, Db, db::DbConfig, env::Env};
use tokio::sync::watch;

use super::{database::Database, mode::Mode, project::Project, schema::Schema, terminal::line};
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
                "✗ .env: {error}\n          keeping the previous settings"
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
        let db_config = if concerns_database(&env, &before) {
            if self.mode.is_demonstration() {
                return Err(
                    "this mode chooses its database when it starts: restart the host".into(),
                );
            }
            let url = database
                .prepare(project, &env, self.schema.applies())
                .await?;
            let config = DbConfig {
                on_refusal: before_config.on_refusal.clone(),
                ..DbConfig::new(&env, url.clone(), before_config.application_name.clone())
            };
            self.db.replace(&config).await?;
            line(format_args!(
                ".env: connection pool replaced; the next query connects to {url}"
            ));
            self.schema.moved_to(url.clone(), Arc::new(env.clone()));
            database.moved_to(url);
            self.schema.follow().await?;
            config
        } else {
            before_config
        };
        let changed = environment::give_to_app(&file);
        // Generations get them at their start; those that run keep what they were given.
        if changed || env != *before {
            self.settings.send_replace(Settings {
                env: Arc::new(env),
                db_config,
                environment: environment + u64::from(changed),
            });
        }
        Ok(changed)
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

//! Applies changes of `.env` while the host runs, such as another database or other limits, without a restart.
//!
//! The new settings are validated and the new database is migrated before anything changes. Then the old pool is
//! drained and replaced: running statements are answered, its connection closes, and the next query connects to the new
//! database. From then on the new settings are in effect, and later saves are compared with them, even if the new
//! database fails. Settings that need a restart are named.

use std::sync::Arc;

use shared::{
    BoxError,
    db::DbConfig,
    env::{Change, Env, ShownSetting},
};
use tokio::sync::watch;

use crate::{
    config::{HostSettings, ProjectError, Settings, environment, settings},
    database::{Database, Handle},
    events::Event,
    services::Services,
};

/// What it reads and changes.
pub(crate) struct SettingsReload {
    pub(crate) services: Services,
    pub(crate) settings: watch::Sender<Settings>,
    /// Saved settings that wait for the next start.
    waiting: Vec<ShownSetting>,
}

impl SettingsReload {
    pub(crate) fn new(services: Services, settings: watch::Sender<Settings>) -> Self {
        Self {
            services,
            settings,
            waiting: Vec::new(),
        }
    }

    /// Fails if a host started now in another mode would not start.
    pub(crate) fn check_switch(&self) -> Result<(), BoxError> {
        if self.services.database.db.is_absent() {
            return Err(
                "the modes are about connections to a database, and HOST_DATABASE is none".into(),
            );
        }
        if self.services.project.repository().is_some() {
            return Err("each branch has a database of its own (HOST_BRANCH_DATABASES), and the modes are about one: restart without it".into());
        }
        self.services.check_settings()
    }

    /// Reads the settings again and applies what has changed; on an error nothing changes. Returns whether the app's
    /// environment variables have changed.
    pub(crate) async fn reload(&mut self, database: &mut Database) -> bool {
        let applied = self.apply(database).await;
        let refused = applied.as_ref().err().map(ToString::to_string);
        let before = self.settings.borrow().refused.clone();
        self.settings.send_if_modified(|settings| {
            settings.refused.clone_from(&refused);
            before != refused
        });
        match refused {
            None if before.is_some() => self.services.events.emit(Event::SettingsAccepted),
            None => {}
            Some(message) => self
                .services
                .events
                .emit(Event::SettingsRefused { message }),
        }
        applied.unwrap_or(false)
    }

    async fn apply(&mut self, database: &mut Database) -> Result<bool, BoxError> {
        let file = self
            .services
            .project
            .dotenv()
            .map_err(|error| match error {
                // The line that shows it names the file.
                ProjectError::Dotenv { source, .. } => source.into(),
                other => BoxError::from(other),
            })?;
        let Settings {
            env: before,
            entries: before_entries,
            db_config: before_config,
            environment,
            refused,
        } = self.services.settings.borrow().clone();
        let (_, HostSettings { entries: asked, .. }) = settings::read_dev(
            &self.services.project,
            file.clone(),
            &self.services.flags,
            &[],
        )?;
        self.report_waiting(&asked, &before_entries);
        let (env, host) = settings::read_dev(
            &self.services.project,
            file.clone(),
            &self.services.flags,
            &before_entries,
        )?;
        host.check_branch_databases(&env)?;
        let HostSettings { entries, .. } = host;
        let differs = |(now, before): (&ShownSetting, &ShownSetting)| {
            now.change == Change::Pool && now.value != before.value
        };
        // A new password is a change that the entries do not show.
        let moves = !self.services.database.db.is_absent()
            && (entries.iter().zip(&before_entries).any(differs)
                || env.database_url != before.database_url);
        let env = Arc::new(env);
        let db_config = if moves {
            self.move_pool(&env, database).await?
        } else {
            before_config
        };
        let endpoint = self.services.database.endpoint.as_ref();
        let url = database.app_url(self.services.mode, endpoint);
        let is_new = environment::apply(self.services.project.root(), &file, url);
        // Generations get the settings when they start; running ones keep theirs.
        if is_new || env != before || entries != before_entries {
            self.settings.send_replace(Settings {
                env,
                entries,
                db_config,
                environment: environment + u64::from(is_new),
                refused,
            });
        }
        if moves {
            self.services.database.schema.sync().await;
        }
        Ok(is_new)
    }

    /// Names the settings that wait for the next start, unless the user knows already.
    fn report_waiting(&mut self, asked: &[ShownSetting], in_effect: &[ShownSetting]) {
        let waits = |(asked, in_effect): &(&ShownSetting, &ShownSetting)| {
            asked.change == Change::Restart && asked.value != in_effect.value
        };
        let pairs = asked.iter().zip(in_effect).filter(waits);
        let waiting: Vec<ShownSetting> = pairs.map(|(asked, _)| asked.clone()).collect();
        if !waiting.is_empty() && waiting != self.waiting {
            let names = waiting.iter().map(|it| it.name).collect();
            self.services
                .events
                .emit(Event::SettingsNeedRestart { names });
        }
        self.waiting = waiting;
    }

    /// Moves the pool to the database of `env`. On an error nothing changes.
    async fn move_pool(
        &self,
        env: &Arc<Env>,
        database: &mut Database,
    ) -> Result<DbConfig, BoxError> {
        if self.services.mode.is_demonstration() {
            return Err("this mode chooses its database when it starts: restart the host".into());
        }
        let Handle {
            db,
            access,
            schema,
            endpoint,
            ..
        } = &self.services.database;
        let url = database.select(&self.services.project, env, access).await?;
        schema.prepare((url.clone(), env.clone())).await?;
        let before = self.services.settings.borrow().db_config.clone();
        let config = DbConfig {
            on_refusal: before.on_refusal,
            relay: before.relay,
            ..env.db_config(url.clone(), before.application_name)
        };
        db.replace(&config).await?;
        if let Some(endpoint) = endpoint {
            endpoint.follow(&config);
        }
        self.services.events.emit(Event::PoolMoved {
            url: url.to_string(),
        });
        schema.set_place(url.clone(), env.clone());
        database.set_url(url, access);
        Ok(config)
    }
}

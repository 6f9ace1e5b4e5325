//! What the user can ask a running host to do, by key or button. The main loop carries actions out one after another.

use shared::PoolOwner;

use super::{schema::Schema, settings_reload::SettingsReload, terminal::line};
use crate::reload::Isolation;

/// An action of a running host. Quitting is not one of them: it must not queue behind a migration that waits for a
/// lock.
#[derive(Debug)]
pub(crate) enum Action {
    /// Build, though nothing was saved.
    Rebuild,
    /// Drain the pool and create a new one.
    NewPool,
    /// Apply what is pending.
    Migrate,
    /// Restart the host with other switches, on the same socket.
    Mode {
        pool: PoolOwner,
        isolation: Isolation,
    },
}

/// Drains the pool and creates a new one.
pub(super) async fn new_pool(settings_reload: &SettingsReload) {
    if settings_reload.mode.pool == PoolOwner::App {
        line(format_args!(
            "the app owns the pools in this mode; save to get a new one"
        ));
        return;
    }
    let config = settings_reload.settings.borrow().db_config.clone();
    match settings_reload.db.replace(&config).await {
        Ok(()) => line(format_args!(
            "connection pool replaced; the next query opens a connection"
        )),
        Err(error) => line(format_args!("✗ connection pool not replaced: {error}")),
    }
}

/// Applies pending migrations. A faulty file is reported by `schema`.
pub(super) async fn migrate(schema: &Schema) {
    match schema.migrate().await {
        Ok(0) if !schema.state().borrow().differs() => line(format_args!("no pending migrations")),
        Ok(_) => {}
        Err(error) => line(format_args!("✗ cannot migrate: {error}")),
    }
}

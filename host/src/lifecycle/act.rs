//! Carries out what the user asks for.

use shared::PoolOwner;

use super::settings_reload::SettingsReload;
use crate::events::Event;

/// Drains the pool and creates a new one.
pub(super) async fn new_pool(settings_reload: &SettingsReload) {
    if settings_reload.mode.pool == PoolOwner::App {
        return settings_reload.events.emit(Event::PoolIsOfTheApp);
    }
    if settings_reload.database.db.is_absent() {
        return settings_reload.events.emit(Event::NoPool);
    }
    let config = settings_reload.settings.borrow().db_config.clone();
    let replaced = settings_reload.database.db.replace(&config).await;
    settings_reload.events.emit(match replaced {
        Ok(()) => Event::PoolReplaced,
        Err(error) => Event::PoolNotReplaced {
            message: error.to_string(),
        },
    });
}

/// Applies pending migrations, and returns whether there were any. A faulty file is reported by `schema`.
pub(super) async fn migrate(settings_reload: &SettingsReload) -> bool {
    let SettingsReload {
        database, events, ..
    } = settings_reload;
    let schema = &database.schema;
    let migrated = schema.migrate().await;
    let any = matches!(migrated, Ok(1..));
    match migrated {
        Ok(0) if !schema.state().borrow().differs() => events.emit(Event::NothingPending),
        Ok(_) => {}
        Err(error) => events.emit(Event::CannotMigrate {
            message: error.to_string(),
        }),
    }
    any
}

//! Carries out what the user asks for.

use shared::PoolOwner;

use crate::{events::Event, services::Services};

/// Drains the pool and creates a new one.
pub(super) async fn new_pool(services: &Services) {
    if services.mode.pool == PoolOwner::App {
        return services.events.emit(Event::PoolIsOfTheApp);
    }
    if services.database.db.is_absent() {
        return services.events.emit(Event::NoPool);
    }
    let config = services.settings.borrow().db_config.clone();
    let replaced = services.database.db.replace(&config).await;
    services.events.emit(match replaced {
        Ok(()) => Event::PoolReplaced,
        Err(error) => Event::PoolNotReplaced {
            message: error.to_string(),
        },
    });
}

/// Applies pending migrations, and returns whether there were any. A faulty file is reported by `schema`.
pub(super) async fn migrate(services: &Services) -> bool {
    let Services {
        database, events, ..
    } = services;
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

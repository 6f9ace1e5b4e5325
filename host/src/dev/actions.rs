//! What a person may ask a running host for, by a key or otherwise. Carried out one after the other, by the main loop.

use shared::PoolOwner;

use super::{follow::Follow, schema::Schema, terminal::line};
use crate::reload::Isolation;

/// Something to do while the host goes on. Its end is not among them: it must not queue up behind a migration that
/// waits for a lock.
#[derive(Debug)]
pub(crate) enum Action {
    /// Build, though nothing was saved.
    Rebuild,
    /// Drain the pool and make another.
    NewPool,
    /// Apply what is pending.
    Migrate,
    /// Restart the host with other switches, on the same socket.
    Mode {
        pool: PoolOwner,
        isolation: Isolation,
    },
}

/// Drains the pool and makes a new one.
pub(super) async fn new_pool(follow: &Follow) {
    if follow.mode.pool == PoolOwner::App {
        line(format_args!(
            "the app owns the pools in this mode; save to get a new one"
        ));
        return;
    }
    let config = follow.settings.borrow().db_config.clone();
    match follow.db.replace(&config).await {
        Ok(()) => line(format_args!(
            "connection pool replaced; the next query opens a connection"
        )),
        Err(error) => line(format_args!("✗ connection pool not replaced: {error}")),
    }
}

/// Applies what is pending in `migrations/`. A faulty file is told there.
pub(super) async fn migrate(schema: &Schema) {
    match schema.migrate().await {
        Ok(0) if !schema.state().borrow().differs() => line(format_args!("no pending migrations")),
        Ok(_) => {}
        Err(error) => line(format_args!("✗ cannot migrate: {error}")),
    }
}

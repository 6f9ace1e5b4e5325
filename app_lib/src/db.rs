//! Where the pool lives: the leak and its cure, side by side. This file is what the project teaches.
//!
//! A reload loads this library again, with statics of its own. A pool in a static is therefore made once per
//! generation, and nothing closes the previous one: statics are never dropped. Every reload that is followed by a
//! query leaves one more connection open, until PostgreSQL has no slot left.

use std::sync::OnceLock;

use shared::{AppState, Db, PoolOwner};

/// The leak: one pool for each load of this library. Like `export const db = createDbConnection()` in a module.
static POOL: OnceLock<Db> = OnceLock::new();

/// The database of this generation.
pub(crate) fn connect(state: &AppState) -> Db {
    match state.pool_owner {
        // The cure: the pool of the process, which outlives all generations. Like `globalForDb.db`.
        PoolOwner::Host => state.db.clone(),
        // The problem, under `just leak`. What cures it all the same is to end what a generation opened together
        // with the generation: `just leak --isolation on`.
        PoolOwner::App => POOL.get_or_init(|| Db::new(&state.db_config)).clone(),
    }
}

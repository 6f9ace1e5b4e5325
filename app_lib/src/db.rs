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
        // The cure: the host's pool, which outlives all generations. Like `globalForDb.db`.
        PoolOwner::Host => state.db.clone(),
        // The leak, under `just leak`. It is also cured if everything a generation has opened ends with the generation:
        // `just leak --isolation on`.
        PoolOwner::App => POOL.get_or_init(|| Db::new(&state.db_config)).clone(),
    }
}

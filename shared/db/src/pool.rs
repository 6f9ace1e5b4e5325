//! Makes the pool: deadpool, lazy, one connection unless told otherwise.

use std::sync::Arc;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};

use super::{address::addresses, config::DbConfig, counts::Counts, opener::Opener, relay::Relay};

/// A pool of at most `max_connections`, all of them to the server itself. Opens nothing yet.
#[must_use]
pub fn create_pool(config: &DbConfig) -> Pool {
    counted_pool(config, config.max_connections, None, &Arc::default())
}

pub(super) fn counted_pool(
    config: &DbConfig,
    max_connections: usize,
    relay: Option<Arc<dyn Relay>>,
    counts: &Arc<Counts>,
) -> Pool {
    let opener = Opener::new(config, relay, counts.clone());
    // Fast: a health query on each checkout would cost a round trip; a dead connection is noticed by its socket.
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let connection = config.connection();
    // Each address has the full limit, and the setup queries on the connection get one more.
    let tries = u32::try_from(addresses(&connection).len()).unwrap_or(u32::MAX);
    let create_timeout = config
        .connect_timeout
        .saturating_mul(tries.saturating_add(1));
    let manager = Manager::from_connect(connection, opener, recycling);
    Pool::builder(manager)
        .max_size(max_connections)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(config.wait_timeout))
        .create_timeout(Some(create_timeout))
        .build()
        .expect("a runtime is given, the only thing the builder checks")
}

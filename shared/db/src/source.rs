//! Where the connections of a `Db` come from, and under which rules.

use std::{sync::Arc, time::Duration};

use deadpool_postgres::Pool;
use tokio_postgres::config::TargetSessionAttrs;

use super::{config::DbConfig, counts::Counts, pool::counted_pool, relay::Relay, tls::Tls};

pub(super) struct Source {
    /// The shared connection comes from here. If more than one is allowed, connections for exclusive use do too, unless
    /// there are `others`.
    shared: Pool,
    /// Those for exclusive use, where a relay has the shared one.
    others: Option<Pool>,
    /// Has the shared connection.
    pub(super) relay: Option<Arc<dyn Relay>>,
    /// TLS of its connections: a cancel must use the same.
    pub(super) tls: Tls,
    /// Why there is no server.
    pub(super) absent: Option<&'static str>,
    pub(super) wait_limit: Duration,
    /// How long a connection that was lost may take to come back.
    pub(super) patience: Duration,
    /// The URL asks for a server that takes writes.
    pub(super) wants_writes: bool,
    /// Whether statements may share the connection. Behind a pooler each needs a transaction of its own instead.
    pub(super) pipeline: bool,
    pub(super) statement_timeout: Duration,
}

impl Source {
    pub(super) fn new(config: &DbConfig, counts: &Arc<Counts>) -> Self {
        let (max, relay) = (config.max_connections, config.relay.clone());
        let others =
            (max > 1 && relay.is_some()).then(|| counted_pool(config, max - 1, None, counts));
        let shared = if others.is_some() { 1 } else { max };
        Self {
            shared: counted_pool(config, shared, relay.clone(), counts),
            others,
            relay,
            tls: config.url.tls().clone(),
            absent: config.url.absence(),
            wait_limit: config.wait_timeout,
            patience: config.connect_timeout,
            wants_writes: config.url.config().get_target_session_attrs()
                == TargetSessionAttrs::ReadWrite,
            pipeline: config.pipeline,
            statement_timeout: config.statement_timeout,
        }
    }

    /// Of the connection that statements share.
    pub(super) fn shared(&self) -> &Pool {
        &self.shared
    }

    /// Of connections for exclusive use, if [`more than one`](Self::max) is allowed.
    pub(super) fn others(&self) -> &Pool {
        self.others.as_ref().unwrap_or(&self.shared)
    }

    pub(super) fn pools(&self) -> impl Iterator<Item = &Pool> {
        std::iter::once(&self.shared).chain(&self.others)
    }

    /// How many connections there may be.
    pub(super) fn max(&self) -> usize {
        self.pools().map(|pool| pool.status().max_size).sum()
    }

    /// How many there are.
    pub(super) fn size(&self) -> usize {
        self.pools().map(|pool| pool.status().size).sum()
    }

    pub(super) fn close(&self) {
        self.pools().for_each(Pool::close);
    }
}

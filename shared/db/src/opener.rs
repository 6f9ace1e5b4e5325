//! Opens the connections of a pool.
//!
//! A socket belongs to the reactor it was opened on, and the first query may come from any generation, so connections
//! are opened on the runtime of the process.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use deadpool_postgres::Connect;
use futures_util::future::{BoxFuture, Either};
use tokio::{runtime::Handle, task::JoinHandle};
use tokio_postgres::{Client, Config, Error, SimpleQueryMessage};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    config::{DbConfig, OnRefusal},
    connect,
    counts::Counts,
    establish,
    failed_attempts::{FailedAttempts, describe},
    own_types::{MissedTypes, load_types},
    reach::Reach,
    relay::Relay,
    tap::Tap,
    tls::Tls,
};

pub(super) struct Opener {
    runtime: Handle,
    on_refusal: OnRefusal,
    setup: Setup,
}

#[derive(Clone)]
struct Setup {
    tls: Tls,
    /// Gets the connection's stream.
    relay: Option<Arc<dyn Relay>>,
    /// Records how connections are opened and lost.
    counts: Arc<Counts>,
    behind_a_pooler: bool,
}

impl Opener {
    pub(super) fn new(
        config: &DbConfig,
        relay: Option<Arc<dyn Relay>>,
        counts: Arc<Counts>,
    ) -> Self {
        Self {
            runtime: config.runtime.clone(),
            on_refusal: config.on_refusal.clone(),
            setup: Setup {
                tls: config.url.tls().clone(),
                relay,
                counts,
                behind_a_pooler: !config.pipeline,
            },
        }
    }
}

impl Connect for Opener {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        // Aborted with the caller that polls this: at the pool's time limit or, for a connection for exclusive use, with
        // the request, which must not leave a backend half open. The shared one outlives its request: see
        // `Inner::opened`.
        let name = config.get_application_name().map(str::to_owned);
        let opening = self.setup.clone().open(config.clone());
        let opening = AbortOnDropHandle::new(self.runtime.spawn(opening));
        Box::pin(async move {
            match opening.await {
                Ok(Err(tried)) => {
                    for error in tried.errors() {
                        self.on_refusal.report(error, name.as_deref());
                    }
                    Err(tried.into_pg_error().await)
                }
                Ok(Ok(opened)) => Ok(opened),
                // The process's runtime is ending, and this caller with it; `create_timeout` bounds the wait.
                Err(_) => std::future::pending().await,
            }
        })
    }
}

impl Setup {
    async fn open(self, config: Config) -> Result<(Client, JoinHandle<()>), FailedAttempts> {
        let (client, mut connection, closed) = self.connect(&config).await?;
        let counts = self.counts.clone();
        let driver = tokio::spawn(async move {
            if let Some(Err(error)) = closed.run_until_cancelled(&mut connection).await {
                let reason = counts.usage.record_loss(describe(&error));
                tracing::warn!(
                    "the database connection ended: {reason}; the next statement opens another"
                );
                counts.reach.send_replace(Reach::Lost);
            }
            // Clients notice the end only now, so that `Lost` cannot overwrite the result of the next attempt.
            drop(connection);
        });
        let missed_types = self.behind_a_pooler.then_some(&*self.counts.missed_types);
        let prepared = prepare_connection(&client, missed_types).await;
        let pid = prepared.map_err(|error| FailedAttempts::during_setup(&config, error))?;
        let pid = pid.unwrap_or_default();
        self.counts.backend_pid.store(pid, Relaxed);
        self.counts.opened.fetch_add(1, Relaxed);
        Ok((client, driver))
    }

    /// To the server, or to the relay. The token is cancelled when the connection is closed without being lost.
    async fn connect(
        &self,
        config: &Config,
    ) -> Result<(Client, Driver, CancellationToken), FailedAttempts> {
        let Some(relay) = &self.relay else {
            let (client, connection) = connect::open(config, &self.tls).await?;
            return Ok((client, Either::Left(connection), CancellationToken::new()));
        };
        let opened = establish::open(config, &self.tls).await?;
        let valve = opened.tap.valve();
        let closed = valve.closed.clone();
        let before = self.counts.valve().replace(valve);
        if let Some(before) = before {
            before.close();
        }
        opened.lead_through(&**relay);
        Ok((opened.client, Either::Right(opened.connection), closed))
    }
}

type Driver = Either<connect::Connection, tokio_postgres::Connection<Tap, Tap>>;

/// Queries a new connection needs before its first use: loads types behind a pooler, and returns the backend's PID.
async fn prepare_connection(
    client: &Client,
    missed_types: Option<&MissedTypes>,
) -> Result<Option<i32>, Error> {
    if let Some(missed_types) = missed_types {
        load_types(client, missed_types).await?;
    }
    // In one message: behind a pooler a second one may reach another backend.
    let answer = client.simple_query("SELECT pg_backend_pid()").await?;
    Ok(answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    }))
}

//! The app's database as other rooms see it: the handle that the app gets, its backends, its tables, and whether it
//! answers.
//!
//! Nothing is opened here.

use std::sync::Arc;

use serde::Serialize;
use shared::{
    Db,
    db::{DbConfig, OnRefusal, Refusal},
    env::Env,
};
use tokio::sync::watch;

use super::{
    access::{Access, ClusterState},
    development::{Database, make_plain_role},
    endpoint::{Endpoint, EndpointError},
    observer::Observer,
    probe::probe,
    schema::Schema,
};
use crate::{
    config::{Mode, Policy, Project},
    events::{Event, Events},
};

/// How often PostgreSQL had no slot for the application (SQLSTATE 53300), and its last message.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Refusals {
    pub(crate) times: u64,
    pub(crate) last: Option<Refusal>,
}

/// Clones share the database.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) db: Db,
    pub(crate) observer: Arc<Observer>,
    pub(crate) access: Arc<Access>,
    pub(crate) schema: Arc<Schema>,
    pub(crate) refusals: watch::Receiver<Refusals>,
    /// Where the app's own drivers find the same connection.
    pub(crate) endpoint: Option<Endpoint>,
    events: Events,
    /// The app uses a role of its own, which must be made first.
    plain_role: bool,
}

impl Handle {
    /// The handle of the database that `database` has found, and the configuration of its pool. `restarts` makes the
    /// name of its backends unique.
    pub(crate) fn new(
        database: &Database,
        migrations: (&Project, Policy),
        env: &Arc<Env>,
        mode: Mode,
        restarts: u64,
        events: &Events,
    ) -> Result<(Self, DbConfig), EndpointError> {
        let name = application_name(restarts);
        let mut config = env.db_config(database.url(), name.clone());
        let mut own_observer = None;
        if mode.is_demonstration() {
            own_observer = Some(Observer::dedicated(name.clone(), config.clone()));
            if let Some(url) = database.url_of_a_plain_role() {
                config.url = url;
            }
        }
        let (count, refusals) = watch::channel(Refusals::default());
        config.on_refusal = on_refusal(count, events.clone());
        let shares = !mode.is_demonstration() && config.pipeline && config.url.absence().is_none();
        let endpoint = match shares {
            true => Some(Endpoint::new(migrations.0.root(), &mut config)),
            false => None,
        };
        let db = Db::new(&config);
        if let Some(endpoint) = &endpoint {
            endpoint.open(&db)?;
        }
        let observer = own_observer.unwrap_or_else(|| Observer::shared(name, db.clone()));
        let access = Arc::<Access>::default();
        if database.is_ours() {
            access.set_cluster(ClusterState::Starting);
        }
        let schema = Schema::new(
            migrations,
            db.clone(),
            !mode.is_demonstration(),
            access.clone(),
            endpoint.clone(),
            (database.url(), env.clone()),
            events.clone(),
        );
        let handle = Self {
            db,
            observer: Arc::new(observer),
            access,
            schema,
            refusals,
            endpoint,
            events: events.clone(),
            plain_role: mode.is_demonstration() && database.is_ours(),
        };
        Ok((handle, config))
    }

    /// Watches whether the database answers and whether its tables are as the app needs them. Runs until the host ends
    /// and aborts it.
    pub(crate) async fn watch(self) {
        if self.db.is_absent() {
            return;
        }
        let polling = self.schema.clone().poll_while_blocked();
        tokio::join!(probe(self.db, self.schema, self.access), polling);
    }

    /// Waits for what the first build needs: a database that answers and is migrated.
    pub(crate) async fn ready(self) {
        self.access.until_started().await;
        // If the observer has its own connection, open it now, while there is a free slot.
        drop(self.observer.count().await);
        if self.plain_role {
            let (url, env) = self.schema.place();
            if let Err(error) = make_plain_role(&url, &env).await {
                self.events.emit(Event::NoPlainRole {
                    message: error.to_string(),
                });
            }
        }
        self.schema.sync_until_reachable().await;
    }
}

/// Counts refused connections. They come in floods, so only the first is an event.
fn on_refusal(count: watch::Sender<Refusals>, events: Events) -> OnRefusal {
    OnRefusal::new(move |refusal| {
        count.send_modify(|refusals| {
            refusals.times += 1;
            if refusals.times == 1 {
                events.emit(Event::ConnectionRefused(refusal.clone()));
            }
            refusals.last = Some(refusal);
        });
    })
}

/// Unique per start: a restart keeps the PID, and backends of the previous image may still be ending.
fn application_name(restarts: u64) -> String {
    let boot = chrono::Utc::now().timestamp_millis() as u64 % 0x0100_0000;
    format!("host-dev:{}:{boot:06x}:{restarts}", std::process::id())
}

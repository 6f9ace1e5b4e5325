//! Creates the app's `Db` and the observer that counts its backends.
//!
//! Nothing is opened here.

use std::sync::Arc;

use shared::{
    Db,
    db::{DbConfig, OnRefusal},
    env::Env,
};
use tokio::sync::watch;

use super::{database::Database, mode::Mode, observer::Observer, status::Refusals};
use crate::restart::Carried;

/// The database handles of the app and the dashboard.
pub(super) struct Connection {
    pub(super) db: Db,
    pub(super) db_config: DbConfig,
    pub(super) observer: Arc<Observer>,
    pub(super) refusals_rx: watch::Receiver<Refusals>,
}

impl Connection {
    pub(super) fn prepare(database: &Database, env: &Env, mode: Mode, name: String) -> Self {
        let mut db_config = DbConfig::new(env, database.url(), name.clone());
        let mut own_observer = None;
        if mode.is_demonstration() {
            own_observer = Some(Observer::dedicated(name.clone(), db_config.clone()));
            if let Some(url) = database.url_of_a_plain_role() {
                db_config.url = url;
            }
        }
        let (refusals, refusals_rx) = watch::channel(Refusals::default());
        db_config.on_refusal = OnRefusal::new(move |refusal| {
            refusals.send_modify(|refusals| {
                refusals.times += 1;
                refusals.last = Some(refusal);
            });
        });
        let db = Db::new(&db_config);
        let observer = own_observer.unwrap_or_else(|| Observer::shared(name, db.clone()));
        Self {
            db,
            db_config,
            observer: Arc::new(observer),
            refusals_rx,
        }
    }
}

/// Unique per start: a restart keeps the PID, and backends of the previous image may still be ending.
pub(super) fn application_name(carried: &Carried) -> String {
    let boot = chrono::Utc::now().timestamp_millis() as u64 % 0x0100_0000;
    format!(
        "host-dev:{}:{boot:06x}:{}",
        std::process::id(),
        carried.restarts
    )
}

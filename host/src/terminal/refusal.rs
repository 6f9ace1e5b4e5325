//! The message when PostgreSQL has no connection left for the app: who uses them, and what to do.

use shared::{PoolOwner, db::Refusal};

use super::{
    BAD, json, line,
    screen::{self, print},
};
use crate::{
    config::{Isolation, Mode},
    database::Observer,
};

pub(super) async fn show(refusal: &Refusal, mode: Mode, observer: &Observer) {
    let backends = observer.count().await.map(|census| census.backends);
    if screen::is_json() {
        return screen::event(json::JsonEvent::ConnectionRefused {
            sqlstate: &refusal.sqlstate,
            message: &refusal.message,
            backends,
        });
    }
    line(format_args!(
        "{BAD}✗ PostgreSQL refused a connection{BAD:#} (SQLSTATE {}): {}",
        refusal.sqlstate, refusal.message
    ));
    let open = backends.map_or_else(String::new, |backends| {
        format!("{backends} of its connections are ours. ")
    });
    let why = match (mode.pool, mode.isolation) {
        (PoolOwner::App, Isolation::Off) => {
            "Each generation made its own pool, in a static of the app, on a runtime that outlives it, so nothing closes them.\n            \
                 The cure: let the host own the pool (cargo dev), or end each generation with everything it opened (cargo dev --pool app).\n            \
                 Ctrl-C frees them all; PostgreSQL is not at fault."
        }
        _ => {
            "Others hold the rest. To see who: SELECT application_name, count(*) FROM pg_stat_activity GROUP BY 1 ORDER BY 2 DESC;"
        }
    };
    print(format_args!("            {open}{why}\n"));
}

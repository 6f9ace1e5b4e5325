//! What is said when PostgreSQL has no connection left for the app: who has them, and the way out.

use shared::PoolOwner;

use super::{
    BAD, json, line,
    screen::{self, print},
};
use crate::{
    dev::{mode::Mode, observer::Observer, status::Refusals},
    reload::Isolation,
};

pub(super) async fn show(refusals: &Refusals, mode: Mode, observer: &Observer) {
    let Some(refusal) = &refusals.last else {
        return;
    };
    let backends = observer.count().await.map(|census| census.backends);
    if screen::is_json() {
        return screen::event(json::Told::ConnectionRefused {
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
        format!("{backends} of its backends are ours. ")
    });
    let why = match (mode.pool, mode.isolation) {
        (PoolOwner::App, Isolation::Off) => {
            "Each generation made a pool of its own, in a static of app_lib, on a runtime that outlives it: nobody closes them.\n            \
                 The cure: give the pool to the host (just dev), or end each generation with all it opened (just leak --isolation on).\n            \
                 Ctrl-C frees them all at once: PostgreSQL was never at fault."
        }
        _ => {
            "Others hold the rest: SELECT application_name, count(*) FROM pg_stat_activity GROUP BY 1 ORDER BY 2 DESC; says who."
        }
    };
    print(format_args!("            {open}{why}\n"));
}

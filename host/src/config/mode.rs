//! The two switches: who owns the pool, and whether a generation has a runtime of its own.
//!
//! With both at their defaults nothing leaks. The other three combinations show what each switch is for.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use shared::PoolOwner;

/// `max_connections` of the private cluster when the app owns the pool: small, so that the leak reaches the limit soon.
const DEMO_MAX_CONNECTIONS: u16 = 20;

/// Whether each generation has its own runtime, so that everything it opened ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Isolation {
    /// Each generation has its own runtime. The default.
    On,
    /// All generations run on the host's runtime, as in a naive hot reloader: what the app opens stays open.
    Off,
}

/// The switches, as flags or environment.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Mode {
    /// Who owns the pool: `host` is the cure; `app` keeps it in a static of app_lib, as the leak does
    #[arg(long, env = "HOST_POOL", default_value_t = PoolOwner::Host, overrides_with = "pool")]
    pub(crate) pool: PoolOwner,
    /// Whether app code runs on a runtime of its generation, which ends with it, or on the host's
    #[arg(
        long,
        env = "HOST_ISOLATION",
        default_value = "on",
        overrides_with = "isolation"
    )]
    pub(crate) isolation: Isolation,
    /// max_connections of the private cluster [default: 20 with --pool app, else PostgreSQL's own]
    #[arg(long, overrides_with = "max_connections", value_parser = clap::value_parser!(u16).range(6..))]
    max_connections: Option<u16>,
}

/// The two switches, as changed in a running host.
pub(crate) type Switches = (PoolOwner, Isolation);

impl Mode {
    /// The same mode with other switches.
    pub(crate) fn with_switches(self, (pool, isolation): Switches) -> Self {
        Self {
            pool,
            isolation,
            ..self
        }
    }

    /// For the private cluster; `None` leaves it to PostgreSQL.
    pub(crate) fn max_connections(&self) -> Option<u16> {
        self.max_connections
            .or((self.pool == PoolOwner::App).then_some(DEMO_MAX_CONNECTIONS))
    }

    /// Whether this mode demonstrates what goes wrong.
    pub(crate) fn is_demonstration(&self) -> bool {
        self.pool == PoolOwner::App || self.isolation == Isolation::Off
    }

    /// A description for the user.
    pub(crate) fn describe(&self) -> &'static str {
        match (self.pool, self.isolation) {
            (PoolOwner::Host, Isolation::On) => {
                "the host owns the pool; each generation has its own runtime"
            }
            (PoolOwner::Host, Isolation::Off) => {
                "the host owns the pool; app code runs on the host's runtime"
            }
            (PoolOwner::App, Isolation::Off) => {
                "THE LEAK: the pool is a static in app_lib, and app code runs on the host's runtime"
            }
            (PoolOwner::App, Isolation::On) => {
                "the pool is a static in app_lib, but ends with its generation's runtime"
            }
        }
    }
}

//! The two switches: who owns the pool, and whether a generation has a runtime of its own.
//!
//! With both at their defaults nothing leaks. The other three combinations show what each switch is for.

use serde::{Deserialize, Serialize};
use shared::{PoolOwner, env::ShownSetting};

use super::dev_table;

/// `max_connections` of the private cluster when the app owns the pool: small, so that the leak reaches the limit soon.
const DEMO_MAX_CONNECTIONS: u16 = 20;

/// Whether each generation has its own runtime, so that everything it opened ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Isolation {
    /// Each generation has its own runtime. The default.
    On,
    /// All generations run on the host's runtime, as in a naive hot reloader: what the app opens stays open.
    Off,
}

/// The switches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    pub(crate) pool: PoolOwner,
    pub(crate) isolation: Isolation,
    /// `max_connections` of the private cluster, if the user has set it.
    pub(crate) max_connections: Option<u16>,
}

/// The two switches, as changed in a running host.
pub(crate) type Switches = (PoolOwner, Isolation);

impl Mode {
    /// Switches that the user has changed in a running host, as settings that win over all others.
    pub(crate) fn switched((pool, isolation): Switches) -> [ShownSetting; 2] {
        let isolation = match isolation {
            Isolation::On => "on",
            Isolation::Off => "off",
        };
        [
            (&dev_table::HOST_POOL, pool.to_string()),
            (&dev_table::HOST_ISOLATION, isolation.to_owned()),
        ]
        .map(|(setting, value)| ShownSetting {
            name: setting.variable,
            value,
            source: "the dashboard".to_owned(),
            change: setting.change,
        })
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
                "THE LEAK: the pool is a static of the app, and app code runs on the host's runtime"
            }
            (PoolOwner::App, Isolation::On) => {
                "the pool is a static of the app, but ends with its generation's runtime"
            }
        }
    }
}

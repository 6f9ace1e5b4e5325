//! The API for app authors: the state that handlers get, and the macro that exports the app.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{Db, db::DbConfig, env::Env, keep::Kept};

/// Any error, as `app()` may return it; the host prints it and keeps the running generation.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the host hands to each generation. Cheap to clone; axum clones it per request.
#[derive(Clone, Debug)]
pub struct AppState {
    /// The database. The connection behind it belongs to the host and outlives this generation.
    pub db: Db,
    /// Which load of the app this is: 1, 2, 3 … In production always 1.
    pub generation: u64,
    /// Cancelled when this generation starts to drain. Streams and WebSockets that never end by themselves should end
    /// then, so that clients reconnect to the new code; anything still open at the deadline is cut off.
    pub shutdown: CancellationToken,
    /// The validated settings; [`own`](Env::own) reads variables of the app's own.
    pub env: Arc<Env>,
    /// The values that outlive generations: [`keep`](Self::keep) makes one, or hands it out.
    pub kept: Kept,
    /// Who should own the pool. Anything but [`PoolOwner::Host`] demonstrates what goes wrong.
    pub pool_owner: PoolOwner,
    /// Configuration for a pool of the app's own; its runtime is the one `app()` runs on.
    pub db_config: DbConfig,
}

/// Who owns the pool, and so how long it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PoolOwner {
    /// The host process: one pool for all generations. The cure.
    Host,
    /// The app, in a static: one pool per generation. The leak.
    App,
}

impl FromStr for PoolOwner {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        match value {
            "host" => Ok(Self::Host),
            "app" => Ok(Self::App),
            other => Err(format!("`{other}` is neither host nor app")),
        }
    }
}

impl fmt::Display for PoolOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::App => f.write_str("app"),
        }
    }
}

/// Exports `app` so that the host can load this crate. Use it once per crate, beside `use shared_dylib as _;`: without
/// that line rustc links a second, static copy of everything in the dylib, and the host refuses the library.
///
/// The function gets the [`AppState`] and returns the router, with its state applied. It runs once per generation, on
/// the generation's own runtime. If it fails, panics or takes longer than `APP_START_TIMEOUT_MS`, the previous
/// generation keeps serving.
///
/// ```
/// # use shared::{AppState, BoxError};
/// use axum::{Router, routing::get};
///
/// async fn app(state: AppState) -> Result<Router, BoxError> {
///     Ok(Router::new().route("/", get(async || "hello")).with_state(state))
/// }
/// shared::export_app!(app);
/// ```
#[macro_export]
macro_rules! export_app {
    ($app:path) => {
        /// Read by the host before anything else of this library.
        #[unsafe(no_mangle)]
        pub static app_stamp: $crate::abi::Stamp =
            $crate::abi::Stamp::new($crate::abi::FINGERPRINT);

        /// Starts the app: called by the dev host through its symbol, by the production binary by its name.
        #[unsafe(no_mangle)]
        pub fn app_entry(state: $crate::AppState) -> $crate::abi::Building {
            ::std::boxed::Box::pin(async move { $app(state).await.map(::std::convert::Into::into) })
        }
    };
}

//! The API for app authors: the state that handlers get.

use std::{error::Error, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    BoxError, Db,
    db::DbConfig,
    env::Env,
    keep::{KeepError, Kept},
};

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

impl AppState {
    /// A value that outlives this generation: made by the first call with this name, and handed to every later one, in
    /// later generations too. For what is expensive to make or must not be made twice, such as a cache, a channel, or a
    /// client with its pool. In production it is made once per process.
    ///
    /// ```
    /// # use shared::{AppState, BoxError};
    /// use std::sync::Arc;
    /// use tokio::sync::broadcast;
    ///
    /// async fn news(state: &AppState) -> Result<Arc<broadcast::Sender<String>>, BoxError> {
    ///     let sender = state.keep("news", || async { Ok(broadcast::Sender::new(16)) }).await?;
    ///     Ok(sender)
    /// }
    /// ```
    ///
    /// `make` runs as a task on a runtime that no generation's end ends. Calls at the same time wait for one maker. It
    /// ends with the call that runs it: a generation waits for it as for the request, and cancels it at the drain limit;
    /// a call of newer code takes its place at once. If it fails or panics, nothing is kept, and the next call tries
    /// again.
    ///
    /// - Connections and tasks that the maker opens go on. What a handler opens through the value, such as the next
    ///   connection of a pool, ends with the handler's generation. A maker can keep
    ///   [`Handle::current()`](tokio::runtime::Handle) beside its value: a task that is spawned there goes on.
    /// - Closures and function pointers in the value run the code of the generation that made them, which stays mapped.
    /// - Under the dev server the type must be made of types of std and of crates that all generations share. One of
    ///   the app's own is refused, since the next build may lay it out differently; so is what can hold a value of any
    ///   type, such as `dyn Any`, an error, or an `http` message.
    /// - The dashboard lists the values and can drop them: the next call makes a new one, and code that has the old one
    ///   keeps it. A restart of the host drops all.
    ///
    /// # Errors
    ///
    /// [`KeepError`]: the type cannot be kept, the name has a value of another type, or none could be made. It is logged
    /// too.
    pub async fn keep<T, F, Fut>(&self, name: &str, make: F) -> Result<Arc<T>, KeepError>
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, BoxError>> + Send + 'static,
    {
        let kept = self.kept.get(name, self.generation, make).await;
        if let Err(error) = &kept {
            match error.source() {
                Some(source) => tracing::error!("{error}: {source}"),
                None => tracing::error!("{error}"),
            }
        }
        kept
    }
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

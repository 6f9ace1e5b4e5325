//! Values that outlive generations: made once, and handed to each generation that asks
//! ([`AppState::keep`](crate::AppState::keep)).
//!
//! A value that one generation has made is used by the code of another, so its type must mean the same to both. Under
//! the dev server a [`Keeper`] decides which types do, and where values are made. A production process has one
//! generation and no need of one.

// Who makes which value.
mod slots;

#[cfg(test)]
mod tests;

use std::{
    any::{Any, type_name},
    fmt, io,
    sync::Arc,
};

use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use crate::{BoxError, request::Request};
use slots::{Anything, Slots, Turn};

/// Why there is no value.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// Its type may differ in the next generation.
    #[error("keep(\"{name}\"): a {type_name} cannot outlive its generation: {reason}")]
    Unfit {
        /// What was asked for.
        name: String,
        /// The type.
        type_name: &'static str,
        /// The part of it that is in the way, and what to do.
        reason: String,
    },
    /// Two types under one name.
    #[error(
        "keep(\"{name}\"): this is a {kept}, made by generation {generation}, and not a {wanted}: use another name, or drop the value on the dashboard"
    )]
    OtherType {
        /// What was asked for.
        name: String,
        /// The type of the value.
        kept: &'static str,
        /// The generation that made it.
        generation: u64,
        /// The type that was asked for.
        wanted: &'static str,
    },
    /// Making it failed; the next call tries again.
    #[error("keep(\"{name}\"): the value could not be made")]
    Failed {
        /// What was asked for.
        name: String,
        /// The maker's error.
        source: BoxError,
    },
    /// Making it panicked; the next call tries again.
    #[error("keep(\"{name}\"): making the value panicked: {message}")]
    Panicked {
        /// What was asked for.
        name: String,
        /// The panic's message.
        message: String,
    },
}

/// What a dev server decides about the values.
pub trait Keeper: Send + Sync {
    /// Where they are made and dropped: a runtime that outlives generations.
    ///
    /// # Errors
    ///
    /// If there is none, or none any more.
    fn runtime(&self) -> io::Result<Handle>;

    /// Why a value of the type with this name cannot outlive its generation, and what to do; `None` if it can.
    fn refuses(&self, type_name: &'static str) -> BoxFuture<'_, Option<String>>;
}

/// The values of a process. Clones share them.
#[derive(Clone, Default)]
pub struct Kept(Arc<Inside>);

#[derive(Default)]
struct Inside {
    keeper: Option<Box<dyn Keeper>>,
    slots: Slots,
}

/// A value, as it may be shown.
#[derive(Clone, Debug, Serialize)]
pub struct KeptValue {
    /// What it is asked for by.
    pub name: String,
    /// Its type, with all paths.
    #[serde(rename = "type")]
    pub type_name: &'static str,
    /// The generation that made it.
    pub generation: u64,
    /// Seconds since then.
    pub age_s: f64,
    /// `false` while it is being made.
    pub made: bool,
}

impl Kept {
    /// No values yet, under a dev server.
    #[must_use]
    pub fn new(keeper: impl Keeper + 'static) -> Self {
        Self(Arc::new(Inside {
            keeper: Some(Box::new(keeper)),
            slots: Slots::default(),
        }))
    }

    /// All values, by name.
    #[must_use]
    pub fn list(&self) -> Vec<KeptValue> {
        self.0.slots.list()
    }

    /// Forgets a value, so that the next call makes it again. Code that has it keeps it. `false` if there is none.
    pub fn forget(&self, name: &str) -> bool {
        let Some(value) = self.0.slots.take(name) else {
            return false;
        };
        // Its destructor may block, and may need the runtime that it was made on.
        if let Some(Ok(runtime)) = self.0.keeper.as_ref().map(|keeper| keeper.runtime()) {
            runtime.spawn_blocking(|| drop(value));
        }
        true
    }

    pub(crate) async fn get<T, F, Fut>(
        &self,
        name: &str,
        generation: u64,
        make: F,
    ) -> Result<Arc<T>, KeepError>
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, BoxError>> + Send + 'static,
    {
        let (slots, wanted) = (&self.0.slots, type_name::<T>());
        let made = match slots.turn(name, generation, wanted).await {
            Turn::Made(made) => made,
            Turn::Mine(claim) => {
                let value = tokio::select! {
                    value = self.0.make(name, make) => Some(value?),
                    () = claim.superseded() => None,
                };
                match value.and_then(|value| claim.fulfil(value)) {
                    Some(made) => made,
                    None => slots.made(name).await.ok_or_else(|| KeepError::Failed {
                        name: name.to_owned(),
                        source: "newer code took over, and failed".into(),
                    })?,
                }
            }
        };
        made.value.downcast().map_err(|_| KeepError::OtherType {
            name: name.to_owned(),
            kept: made.type_name,
            generation: made.generation,
            wanted,
        })
    }
}

impl Inside {
    async fn make<T, F, Fut>(&self, name: &str, make: F) -> Result<Anything, KeepError>
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, BoxError>> + Send + 'static,
    {
        let (name, type_name) = (name.to_owned(), type_name::<T>());
        let runtime = match &self.keeper {
            None => Handle::current(),
            Some(keeper) => {
                if let Some(reason) = keeper.refuses(type_name).await {
                    return Err(KeepError::Unfit {
                        name,
                        type_name,
                        reason,
                    });
                }
                match keeper.runtime() {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        return Err(KeepError::Failed {
                            name,
                            source: error.into(),
                        });
                    }
                }
            }
        };
        // Called inside the task: it may open something, or panic, before its first await.
        let making = async move { make().await };
        // Part of the request, which may hold the database connection.
        let making = AbortOnDropHandle::new(match Request::current() {
            Some(request) => runtime.spawn(request.scope(making)),
            None => runtime.spawn(making),
        });
        match making.await {
            Ok(Ok(value)) => Ok(Arc::new(value)),
            Ok(Err(source)) => Err(KeepError::Failed { name, source }),
            Err(error) => Err(match error.try_into_panic() {
                Ok(panic) => KeepError::Panicked {
                    name,
                    message: message(&*panic),
                },
                Err(cancelled) => KeepError::Failed {
                    name,
                    source: cancelled.into(),
                },
            }),
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "(a panic without a message)".to_owned())
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

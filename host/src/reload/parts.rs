//! What the caller passes to the reload loop, and what the loop returns.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use futures_util::future::BoxFuture;
use shared::BoxError;
use tokio::sync::{Notify, watch as published};
use tokio_util::task::TaskTracker;

use super::{Image, cookies::Cookies, settings_saves::SettingsSaves};
use crate::{
    events::{Images, Report},
    services::Services,
};

/// What must be done before the first build.
pub(crate) type Ready = BoxFuture<'static, ()>;

/// Everything the reload loop needs.
pub(crate) struct Reload {
    pub(crate) services: Services,
    pub(crate) notifiers: Notifiers,
    pub(crate) cookies: Cookies,
    /// Whether rustc may be run without cargo.
    pub(crate) replay: bool,
    /// How much memory the code of earlier generations may use; `None` means no limit.
    pub(crate) keep_memory_mb: Option<u64>,
    /// Anonymous memory of this process with its first generation.
    pub(crate) first_heap_kb: OnceLock<u64>,
    /// The host's executable files as they were when this process started.
    pub(crate) image: Image,
    /// Id of the latest generation. Counting continues across restarts.
    pub(crate) last_id: u64,
    /// The environment ([`Settings::environment`](crate::config::Settings::environment)) of the library loaded last.
    pub(crate) environment: u64,
    pub(crate) report: published::Sender<Report>,
    /// Tasks that retire old generations, so that shutdown can wait for them.
    pub(crate) retiring: TaskTracker,
}

/// Between the reload loop and the main loop. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Notifiers {
    /// Build without a save.
    pub(crate) rebuild: Arc<Notify>,
    pub(crate) settings: SettingsSaves,
    /// `.dev`, or something in it, was deleted.
    pub(crate) cleaned: Arc<Notify>,
}

impl Reload {
    pub(super) fn root(&self) -> &Path {
        self.services.project.root()
    }

    /// Fails if a host started now would not serve: the error names what would stop it.
    pub(super) fn may_restart(&self) -> Result<(), BoxError> {
        self.services.check_settings()?;
        self.services.database.schema.check_files()?;
        Ok(())
    }
}

/// The host must replace itself with its build on disk: the build is newer, or this process uses too much memory.
pub(crate) struct RestartNeeded {
    pub(crate) outgrown: Option<Images>,
}

//! What the caller passes to the reload loop, and what the loop returns.

use std::{path::PathBuf, sync::Arc};

use futures_util::future::BoxFuture;
use shared::{BoxError, Db, PoolOwner, db::DbConfig, env::Env};
use tokio::sync::{Notify, mpsc, watch as published};
use tokio_util::task::TaskTracker;

use super::{Event, Images, Isolation, Report, watch::SETTINGS};
use crate::{generation::Generations, restart::Image};

/// What must be done before the first build.
pub(crate) type Ready = BoxFuture<'static, ()>;

/// Everything the reload loop needs.
pub(crate) struct Reload {
    pub(crate) root: PathBuf,
    pub(crate) db: Db,
    /// The current settings. Each generation gets those that apply when it starts.
    pub(crate) settings: published::Receiver<Settings>,
    /// Notified when `.env` is saved.
    pub(crate) settings_saved: Arc<Notify>,
    /// Notified when `.dev`, or something in it, is deleted.
    pub(crate) cleaned: Arc<Notify>,
    /// Notified when the user asks for a build without a save.
    pub(crate) rebuild: Arc<Notify>,
    /// Whether rustc may be run without cargo.
    pub(crate) replay: bool,
    pub(crate) pool_owner: PoolOwner,
    pub(crate) isolation: Isolation,
    pub(crate) generations: Arc<Generations>,
    /// How much memory the code of earlier generations may use; `None` means no limit.
    pub(crate) keep_memory_mb: Option<u64>,
    /// The host's executable files as they were when this process started.
    pub(crate) image: Image,
    /// Id of the latest generation. Counting continues across restarts.
    pub(crate) last_id: u64,
    /// The environment ([`Settings::environment`]) of the library loaded last.
    pub(crate) environment: u64,
    pub(crate) report: published::Sender<Report>,
    pub(crate) events: mpsc::UnboundedSender<Event>,
    /// Applies pending migrations. A failure is reported elsewhere, and the app is built anyway.
    pub(crate) update_schema: Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
    /// Called before the host replaces itself. An error names what would stop the new process from starting.
    pub(crate) may_restart: Box<dyn Fn() -> Result<(), BoxError> + Send + Sync>,
    /// Tasks that retire old generations, so that shutdown can wait for them.
    pub(crate) retiring: TaskTracker,
}

impl Reload {
    /// The app's current environment, whether it differs from that of the library loaded last, and the files to name as
    /// the cause. If it differs, even an unchanged library is loaded again, since its statics may hold old values.
    pub(super) fn environment(&self, files: Vec<String>) -> (u64, bool, Vec<String>) {
        let now = self.settings.borrow().environment;
        let is_other = now != self.environment;
        let files = match files.is_empty() && is_other {
            true => vec![SETTINGS.to_owned()],
            false => files,
        };
        (now, is_other, files)
    }
}

/// The host must replace itself with its build on disk: the build is newer, or this process uses too much memory.
pub(crate) struct RestartNeeded {
    pub(crate) outgrown: Option<Images>,
}

/// The settings that a generation gets when it starts.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) env: Arc<Env>,
    /// The configuration of `db`. In the leak modes each generation makes its own pool from it, with its own name.
    pub(crate) db_config: DbConfig,
    /// A number that changes whenever the app's environment variables do.
    pub(crate) environment: u64,
}

//! What the reload loop is given.

use std::{path::PathBuf, sync::Arc};

use futures_util::future::BoxFuture;
use shared::{BoxError, Db, PoolOwner, db::DbConfig, env::Env};
use tokio::sync::{Notify, mpsc, watch as published};
use tokio_util::task::TaskTracker;

use super::{Event, Images, Isolation, Report, watch::SETTINGS};
use crate::{generation::Generations, restart::Image};

/// What must be done before the first build.
pub(crate) type Ready = BoxFuture<'static, ()>;

/// Everything a reload needs.
pub(crate) struct Reload {
    pub(crate) root: PathBuf,
    pub(crate) db: Db,
    /// As they are now: each generation gets those of its start.
    pub(crate) settings: published::Receiver<Settings>,
    /// Rung when the file they come from is saved.
    pub(crate) settings_saved: Arc<Notify>,
    /// Rung when `.dev`, or something in it, is deleted.
    pub(crate) cleaned: Arc<Notify>,
    /// Rings when somebody wants a build without a save.
    pub(crate) rebuild: Arc<Notify>,
    /// Whether rustc may be asked alone.
    pub(crate) replay: bool,
    pub(crate) pool_owner: PoolOwner,
    pub(crate) isolation: Isolation,
    pub(crate) generations: Arc<Generations>,
    /// How much the code of earlier generations may use; `None`: there is no limit.
    pub(crate) keep_memory_mb: Option<u64>,
    /// The host's own files, as they were when this process started.
    pub(crate) image: Image,
    /// Id of the generation made last; goes on counting over restarts.
    pub(crate) last_id: u64,
    /// Of the library loaded last.
    pub(crate) environment: u64,
    pub(crate) report: published::Sender<Report>,
    pub(crate) events: mpsc::UnboundedSender<Event>,
    /// Brings the database to what `migrations/` says. Whether it could is told elsewhere; the app is built anyway.
    pub(crate) update_schema: Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
    /// Asked before the host replaces itself: what its new image would stumble over must be mended first.
    pub(crate) may_restart: Box<dyn Fn() -> Result<(), BoxError> + Send + Sync>,
    /// Generations on their way out, so that the end of the process can wait for them.
    pub(crate) retiring: TaskTracker,
}

impl Reload {
    /// The app's environment now; whether it is another one than that of the library loaded last, which is then loaded
    /// again: its statics may hold what they have read. And what to name as the cause if no source has changed.
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

/// The host must be replaced by its build on disk: it has changed there, or this process keeps too much.
pub(crate) struct RestartNeeded {
    pub(crate) outgrown: Option<Images>,
}

/// What a generation is told at its start.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) env: Arc<Env>,
    /// What `db` is made of; the app's own pools, in the leak modes, get a name each.
    pub(crate) db_config: DbConfig,
    /// Another number for another environment of the app's.
    pub(crate) environment: u64,
}

//! The services that run, and what they report: one value for every room above them.
//!
//! Made once by [`dev`](crate::dev); clones are the same services. Owns nothing that ends with it.

use std::sync::Arc;

use shared::{BoxError, keep::Kept};
use tokio::sync::watch;

use crate::{
    config::{Flags, Mode, Project, Settings, settings},
    database::{Handle, SchemaState},
    events::{Events, Report, Testing},
    generation::Generations,
    health::{Health, HealthInputs},
};

/// See the [module](self).
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) project: Project,
    /// What the host was started with.
    pub(crate) flags: Flags,
    pub(crate) mode: Mode,
    pub(crate) database: Handle,
    pub(crate) generations: Arc<Generations>,
    /// Values of the app that outlive generations.
    pub(crate) kept: Kept,
    pub(crate) events: Events,
    /// What the reload loop has done last.
    pub(crate) report: watch::Receiver<Report>,
    pub(crate) health: watch::Receiver<Health>,
    pub(crate) schema: watch::Receiver<SchemaState>,
    /// Tests of the app, and whether they run after each save.
    pub(crate) testing: watch::Receiver<Testing>,
    pub(crate) tests_on: watch::Sender<bool>,
    /// The current ones. Each generation gets those that apply when it starts.
    pub(crate) settings: watch::Receiver<Settings>,
}

impl Services {
    /// Fails if a host started now would not accept its settings.
    pub(crate) fn check_settings(&self) -> Result<(), BoxError> {
        let file = self.project.dotenv()?;
        let (env, host) = settings::read_dev(&self.project, file, &self.flags, &[])?;
        Ok(host.check_branch_databases(&env)?)
    }

    /// Judges how the host is, until it ends and aborts this.
    pub(crate) fn judge(
        &self,
        health: watch::Sender<Health>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let inputs = HealthInputs {
            access: self.database.access.state(),
            schema: self.schema.clone(),
            report: self.report.clone(),
            settings: self.settings.clone(),
        };
        inputs.keep_current(
            health,
            self.generations.clone(),
            self.database.db.clone(),
            self.events.clone(),
        )
    }
}

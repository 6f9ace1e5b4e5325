//! Fills a database that was just made, once its tables are there.

use shared_migrate::{self as migrate, MigrationFailure};
use tokio_postgres::Client;

use super::Schema;
use crate::{
    config::Project,
    database::on_connection,
    events::{Event, Events},
};

impl Schema {
    /// Runs the seeds if the private cluster was just made. A seed that fails is reported, and the app goes on: it has its
    /// tables.
    pub(super) async fn seed_if_new(&self) {
        if !self.access.take_new() {
            return;
        }
        let (url, env) = self.place();
        let seeded = on_connection(&url, &env, async |client| {
            Ok(plant(&self.project, client, &self.events).await?)
        });
        if let Err(error) = seeded.await {
            let message = error.to_string();
            self.events.emit(Event::SeedFailed { message });
        }
    }
}

/// Runs the project's seeds.
pub(crate) async fn plant(
    project: &Project,
    client: &mut Client,
    events: &Events,
) -> Result<(), MigrationFailure> {
    let Some(folder) = project.seeds() else {
        return Ok(());
    };
    let on_seeded = |file| events.emit(Event::Seeded { file });
    migrate::seed(client, (project.root(), folder), &on_seeded).await
}

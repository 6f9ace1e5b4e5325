//! Fills a cluster that was just made, once its tables are there.

use super::Schema;
use crate::{
    database::{
        on_connection,
        seeds::{are_due, run_seeds},
    },
    events::Event,
};

impl Schema {
    /// Runs the seeds if the private cluster was just made. A seed that fails is reported, and the app goes on: it has
    /// its tables.
    pub(super) async fn seed_if_due(&self) {
        if !self.is_private() || !are_due(&self.project) {
            return;
        }
        let (url, env) = self.place();
        let seeded = on_connection(&url, &env, async |client| {
            Ok(run_seeds(&self.project, client, &self.events).await?)
        });
        if let Err(error) = seeded.await {
            let message = error.to_string();
            self.events.emit(Event::SeedFailed { message });
        }
    }
}

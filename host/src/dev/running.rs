//! Ends what runs, in the order in which it can end without losing anything.

use std::{sync::Arc, time::Duration};

use shared::Db;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::terminal;
use crate::{
    generation::{Absence, Generations},
    reload::retire,
};

/// What must end, in the order in which it does.
pub(super) struct Running {
    pub(super) serving: JoinHandle<usize>,
    pub(super) stop: CancellationToken,
    pub(super) generations: Arc<Generations>,
    pub(super) retiring: TaskTracker,
    pub(super) db: Db,
    pub(super) drain: Duration,
}

impl Running {
    pub(super) async fn wind_down(self) {
        match self.generations.active() {
            Some(active) => active.end_streams(),
            // Requests that wait for the first generation get their answer: it does not come any more.
            None => self.generations.absent(Absence::Stopping),
        }
        self.stop.cancel();
        match self.serving.await {
            Ok(0) => {}
            Ok(cut) => terminal::line(format_args!(
                "{cut} connections cut off after {} ms (DRAIN_TIMEOUT_MS)",
                self.drain.as_millis()
            )),
            Err(error) => tracing::error!("serving: {error}"),
        }
        if let Some(active) = self.generations.take() {
            retire(active, self.drain).await;
        }
        self.retiring.close();
        self.retiring.wait().await;
        self.db.close().await;
    }
}

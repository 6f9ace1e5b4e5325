//! Fills the private cluster with the project's seeds, once, when its tables are there.
//!
//! A file in `.dev` says that it is due: it is written where the cluster is made, by a host that may end before the tables
//! are there, or by a command that needs none.

use std::{fs, io, path::PathBuf};

use shared_migrate::{self as migrate, MigrationFailure};
use tokio_postgres::Client;

use crate::{
    config::Project,
    events::{Event, Events},
};

fn marker(project: &Project) -> PathBuf {
    project.root().join(".dev/unseeded")
}

/// The cluster is about to be made.
pub(super) fn set_due(project: &Project) -> io::Result<()> {
    let marker = marker(project);
    fs::create_dir_all(marker.parent().unwrap_or(project.root()))?;
    fs::write(marker, "")
}

/// Whether it was made and has not been filled.
pub(super) fn are_due(project: &Project) -> bool {
    marker(project).exists()
}

/// Runs the seeds. From then on they are not due, even if one fails: it would fail again.
pub(super) async fn run_seeds(
    project: &Project,
    client: &mut Client,
    events: &Events,
) -> Result<(), MigrationFailure> {
    drop(fs::remove_file(marker(project))); // there is none after a reset
    let Some(folder) = project.seeds() else {
        return Ok(());
    };
    let on_seeded = |file| events.emit(Event::Seeded { file });
    migrate::seed(client, (project.root(), folder), &on_seeded).await
}

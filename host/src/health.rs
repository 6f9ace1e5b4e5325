//! Overall health: one value, computed here and shown everywhere.
//!
//! The worst problem wins: without a database nothing else matters, and without the schema no code does.

use std::sync::Arc;

use serde::Serialize;
use shared::Db;
use shared_migrate::MigrationFailure;
use tokio::sync::watch;

use crate::{
    config::Settings,
    database::{AccessState, ClusterState, SchemaState, ServerState},
    events::{Cause, Event, Events, Phase, Report, Trouble},
    generation::Generations,
};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Health {
    pub(crate) trouble: Option<Trouble>,
    /// The number of the current outage, if there is one: from the first sign that the database does not answer, or
    /// while requests wait for a migration. Pages rendered during an outage reload after it.
    #[serde(skip)]
    pub(crate) outage: Option<u64>,
}

/// What health is computed from.
pub(crate) struct HealthInputs {
    pub(crate) access: watch::Receiver<AccessState>,
    pub(crate) schema: watch::Receiver<SchemaState>,
    pub(crate) report: watch::Receiver<Report>,
    pub(crate) settings: watch::Receiver<Settings>,
}

impl HealthInputs {
    /// Updates `health` until the host ends and aborts it. Also tells requests that wait for the first generation what
    /// they wait for, and `db` whether the server is silent.
    pub(crate) async fn keep_current(
        mut self,
        health: watch::Sender<Health>,
        generations: Arc<Generations>,
        db: Db,
        events: Events,
    ) {
        let (mut outages, mut reported) = (0, None);
        loop {
            let found = self.evaluate();
            let is_outage = |trouble: &Trouble| trouble.cause.is_outage();
            let blocking = found.as_ref().filter(|trouble| is_outage(trouble));
            generations.set_blocked(blocking.map(|trouble| trouble.what.clone()));
            let cause = blocking.map(|trouble| trouble.cause);
            if cause != reported {
                reported = cause;
                let trouble = blocking.cloned();
                events.emit(Event::Outage { trouble });
            }
            let in_outage = blocking.is_some() || self.access.borrow().is_broken();
            // A page that fails for it is rendered during the outage, and so reloads after it.
            let silent = self.access.borrow().server == ServerState::Silent;
            if !silent {
                db.set_silent(false);
            }
            health.send_if_modified(|health| {
                let before = health.clone();
                if in_outage && before.outage.is_none() {
                    outages += 1;
                }
                *health = Health {
                    trouble: found.map(|trouble| trouble.continuing(before.trouble.as_ref())),
                    outage: in_outage.then_some(outages),
                };
                *health != before
            });
            if silent {
                db.set_silent(true);
            }
            let changed = tokio::select! {
                changed = self.access.changed() => changed,
                changed = self.schema.changed() => changed,
                changed = self.report.changed() => changed,
                changed = self.settings.changed() => changed,
            };
            if changed.is_err() {
                return; // the host is ending
            }
        }
    }

    fn evaluate(&mut self) -> Option<Trouble> {
        let private = self.settings.borrow_and_update().env.database_url.is_none();
        judge(
            &self.access.borrow_and_update(),
            &self.schema.borrow_and_update(),
            &self.report.borrow_and_update(),
            private,
        )
    }
}

fn judge(
    access: &AccessState,
    schema: &SchemaState,
    report: &Report,
    private: bool,
) -> Option<Trouble> {
    database_trouble(access, schema, private)
        .or_else(|| schema_trouble(schema))
        .or_else(|| app_trouble(report))
}

/// From a migration run that could not connect, before the probe knows more.
impl From<&MigrationFailure> for Trouble {
    fn from(failure: &MigrationFailure) -> Self {
        let what = format!("The database does not answer: {failure}");
        Self::new(Cause::Database, what, "The host keeps trying.")
    }
}

fn database_trouble(state: &AccessState, schema: &SchemaState, private: bool) -> Option<Trouble> {
    let (what, remedy) = match (&state.cluster, &state.server) {
        (ClusterState::Slow(what), _) => {
            let remedy = "The app continues once that is done.";
            return Some(Trouble::new(Cause::Starting, what.clone(), remedy));
        }
        (ClusterState::Ended(why), _) if private => (
            format!("The private PostgreSQL has ended and does not start again: {why}"),
            "The host keeps restarting it; its log is .dev/postgres/log.",
        ),
        (_, ServerState::Down(why)) => (
            format!("The database does not answer: {why}"),
            if private {
                "The host keeps trying; its log is .dev/postgres/log."
            } else {
                "Start that server, or correct DATABASE_URL; either is noticed at once."
            },
        ),
        (_, ServerState::Silent) => {
            let what = "The database is silent: it neither takes nor refuses a connection";
            let remedy =
                "Its process may be stopped, or the network between cut. The host keeps trying.";
            (what.to_owned(), remedy)
        }
        // The app is blocked until the migrations have run, even if the server answers others again.
        _ if schema.unreached => return schema.failure.as_ref().map(Trouble::from),
        _ => return None,
    };
    Some(Trouble::new(Cause::Database, what, remedy))
}

pub(crate) fn slow_migration(state: &SchemaState) -> Option<Trouble> {
    let applying = state.applying.as_ref().filter(|applying| applying.slow)?;
    if let Some(what) = &applying.instead {
        return Some(Trouble {
            since: applying.since,
            ..Trouble::new(Cause::Database, what.clone(), "It goes on by itself.")
        });
    }
    let mut what = match &applying.file {
        Some(file) => format!("{file} is being applied"),
        None => "the migrations are being compared with the database".to_owned(),
    };
    let mut remedy = "Wait, or cancel it: by the button here or on the dashboard, or with Ctrl-C.";
    if let Some(blocker) = &applying.waits_for {
        what.push_str(&format!(" and waits for a lock of {blocker}"));
        remedy = "End that session, or cancel the migration: by the button here or on the dashboard, or with Ctrl-C.";
    }
    Some(Trouble {
        since: applying.since,
        ..Trouble::new(Cause::Migration, what, remedy)
    })
}

fn schema_trouble(state: &SchemaState) -> Option<Trouble> {
    if let Some(slow) = slow_migration(state) {
        return Some(slow);
    }
    if let Some(failure) = &state.failure {
        let remedy = match failure.is_transient {
            true => "The host tries again by itself.",
            false if failure.file.is_none() => "Try again: m, or the button on the page.",
            false => "Correct the file and save it, or try again: m, or the button on the page.",
        };
        return Some(Trouble::new(Cause::Schema, failure.to_string(), remedy));
    }
    let pending = &state.status.pending;
    (!pending.is_empty()).then(|| {
        let what = format!("Migrations are pending: {}", pending.join(", "));
        let remedy = "Press m, or the button on the page, or run `cargo host migrate`.";
        Trouble::new(Cause::Schema, what, remedy)
    })
}

fn app_trouble(report: &Report) -> Option<Trouble> {
    let (cause, what) = match report.phase {
        Phase::BuildFailed => (Cause::Build, "The last save does not compile"),
        Phase::LoadFailed => (Cause::Load, "The last save compiles but is not live"),
        _ => return None,
    };
    let what = match &report.build.refused {
        Some(why) if cause == Cause::Load => format!("{what}: {why}"),
        _ => what.to_owned(),
    };
    Some(Trouble::new(cause, what, "Fix it and save again."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Reloads;

    #[test]
    fn the_worst_comes_first() {
        let mut access = AccessState::default();
        let mut schema = SchemaState::default();
        let mut report = Report::new(Reloads::default());
        let cause = |access: &AccessState, schema: &SchemaState, report: &Report| {
            let found = judge(access, schema, report, true);
            found.map(|trouble| trouble.cause)
        };
        assert_eq!(cause(&access, &schema, &report), None);
        report.phase = Phase::BuildFailed;
        assert_eq!(cause(&access, &schema, &report), Some(Cause::Build));
        schema.status.pending.push("V3__colour".into());
        assert_eq!(cause(&access, &schema, &report), Some(Cause::Schema));
        access.server = ServerState::Suspect;
        assert_eq!(cause(&access, &schema, &report), Some(Cause::Schema));
        access.server = ServerState::Down("refused".into());
        assert_eq!(cause(&access, &schema, &report), Some(Cause::Database));
        access.server = ServerState::Up;
        // A failed connection is not the migration's fault.
        schema.failure = Some(MigrationFailure::new(None, "refused".into()));
        assert_eq!(cause(&access, &schema, &report), Some(Cause::Schema));
        schema.unreached = true;
        assert_eq!(cause(&access, &schema, &report), Some(Cause::Database));
    }
}

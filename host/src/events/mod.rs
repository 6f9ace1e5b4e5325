//! What happens: one typed stream with a short memory.
//!
//! Services report here, and the terminal subscribes: it prints lines, or JSON with `--json`. Nothing else prints. An
//! event is plain data, so this room knows no service and no renderer. What the dashboard shows is state, such as
//! [`Report`].

// The compiler's messages and progress.
mod diagnostic;
mod progress;

// The steps of a save, and the state of the reload loop.
mod report;

// What keeps the app from answering.
mod trouble;

pub(crate) use diagnostic::{Diagnostic, worst};
pub(crate) use progress::{BuildKind, Progress, UnderWay};
pub(crate) use report::{
    Build, Compiler, Images, LastReload, Phase, Reloads, Report, Retired, Times,
};
pub(crate) use trouble::{Cause, Trouble};

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use shared::db::Refusal;
use tokio::sync::mpsc;

/// One thing that happened. Serialized with its name in `event` for `--json`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    // A save, in the order of its steps.
    Migrating,
    /// Saved files that the app reads at run time; open pages reload.
    Refreshed {
        files: Vec<String>,
    },
    Building {
        first: bool,
        files: Vec<String>,
    },
    /// The running build compiles more than the app and will not be cancelled.
    Dependencies,
    Progress(Progress),
    BuildFailed {
        diagnostics: Vec<Diagnostic>,
        serving: Option<u64>,
    },
    Loading,
    Unchanged {
        files: Vec<String>,
        warnings: Vec<Diagnostic>,
    },
    Refused {
        why: String,
        serving: Option<u64>,
    },
    Live {
        #[serde(flatten)]
        last: LastReload,
        warnings: Vec<Diagnostic>,
    },
    Retired(Retired),
    Restarting {
        files: Vec<String>,
        /// Set if the reason is not a change but the memory of old code.
        outgrown: Option<Images>,
    },

    // The database.
    /// The database or a migration keeps the app from answering; `None`: no longer.
    Outage {
        trouble: Option<Trouble>,
    },
    /// A command waits for the database to start.
    DatabaseSlow {
        what: String,
    },
    /// A command waits for the lock of another session.
    WaitingForLock {
        of: String,
    },
    /// `db-reset` has dropped everything.
    Dropped {
        place: String,
    },
    /// A migration was applied.
    Migrated {
        migration: String,
    },
    MigrationFailed {
        message: String,
    },
    MigrationsPending {
        migrations: Vec<String>,
    },
    /// The database was migrated by something else.
    MigrationsUpToDate,
    /// The user asked for migrations, and there are none.
    NothingPending,
    /// The user asked for migrations, and there is no connection for them.
    CannotMigrate {
        message: String,
    },
    /// The private cluster had ended, and runs again.
    ClusterRestarted {
        data_lost: bool,
    },
    /// The demonstration modes use a role without superuser rights, which could not be made.
    NoPlainRole {
        message: String,
    },
    /// PostgreSQL had no slot for the app (SQLSTATE 53300).
    ConnectionRefused(Refusal),
    /// The user asked for a new pool.
    PoolReplaced,
    /// The same, but in this mode the app makes its pools.
    PoolIsOfTheApp,
    /// The same, but there is no database.
    NoPool,
    PoolNotReplaced {
        message: String,
    },

    // `.env`.
    /// Variables of libpq are set, which are not read here.
    SettingsUnread {
        message: String,
    },
    SettingsRefused {
        message: String,
    },
    /// A refused `.env` is right again.
    SettingsAccepted,
    /// Some of the changed settings take effect when the user restarts the host.
    SettingsNeedRestart {
        names: Vec<&'static str>,
    },
    /// The pool uses another database or other limits now.
    PoolMoved {
        url: String,
    },

    // Requests.
    /// A request runs without an await.
    NotYielding {
        generation: u64,
        request: String,
        handler: Option<String>,
        #[serde(rename = "for_ms", serialize_with = "milliseconds")]
        since: Duration,
        /// How many threads of the generation are taken this way, of how many.
        taken: usize,
        threads: usize,
        cpu_percent: u32,
    },
    /// A page keeps the dev server's script out and does not reload by itself.
    Unreloadable {
        path: String,
        because: String,
    },
    /// A request was cut off when the host ended.
    CutOff {
        request: String,
    },
    /// Connections were still open when the time to finish them was over.
    ConnectionsCutOff {
        connections: usize,
        #[serde(rename = "after_ms", serialize_with = "milliseconds")]
        after: Duration,
    },

    // The host.
    Starting {
        version: &'static str,
        pid: u32,
    },
    /// `.dev` was deleted and cannot be made again.
    NotAnnounced {
        message: String,
    },
    CannotRestart {
        message: String,
    },
    /// A signal or a key asks the host to end.
    Stopping {
        signal: &'static str,
    },
    /// A second one: it ends without waiting.
    Stopped {
        signal: &'static str,
    },
}

/// To the microsecond.
fn in_milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn milliseconds<S: serde::Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(in_milliseconds(*duration))
}

/// How many events are kept for subscribers that come later.
const MEMORY: usize = 64;

/// The stream. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Stream>>);

#[derive(Default)]
struct Stream {
    recent: VecDeque<Event>,
    subscribers: Vec<mpsc::UnboundedSender<Event>>,
    closed: bool,
}

impl Events {
    /// Reports an event to every subscriber. Never waits.
    pub(crate) fn emit(&self, event: Event) {
        let mut stream = self.stream();
        stream
            .subscribers
            .retain(|subscriber| subscriber.send(event.clone()).is_ok());
        if stream.recent.len() == MEMORY {
            stream.recent.pop_front();
        }
        stream.recent.push_back(event);
    }

    /// All events from here on, after those that are still remembered. Ends after [`close`](Self::close).
    pub(crate) fn subscribe(&self) -> mpsc::UnboundedReceiver<Event> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut stream = self.stream();
        for event in &stream.recent {
            drop(sender.send(event.clone())); // the receiver is held here
        }
        if !stream.closed {
            stream.subscribers.push(sender);
        }
        receiver
    }

    /// Ends the stream: subscribers receive what was reported so far and then its end.
    pub(crate) fn close(&self) {
        let mut stream = self.stream();
        stream.closed = true;
        stream.subscribers.clear();
    }

    fn stream(&self) -> MutexGuard<'_, Stream> {
        // No code that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_late_subscriber_gets_what_is_remembered_and_the_end() {
        let events = Events::default();
        events.emit(Event::Migrating);
        let mut early = events.subscribe();
        events.emit(Event::Loading);
        let mut late = events.subscribe();
        events.close();
        events.emit(Event::NothingPending); // after the end: not received
        for subscriber in [&mut early, &mut late] {
            assert!(matches!(subscriber.recv().await, Some(Event::Migrating)));
            assert!(matches!(subscriber.recv().await, Some(Event::Loading)));
            assert!(subscriber.recv().await.is_none());
        }
    }

    #[test]
    fn the_memory_is_short() {
        let events = Events::default();
        for generation in 0..1000 {
            let request = generation.to_string();
            events.emit(Event::CutOff { request });
        }
        let mut late = events.subscribe();
        let Ok(Event::CutOff { request }) = late.try_recv() else {
            panic!("the oldest that is remembered");
        };
        assert_eq!(request, (1000 - MEMORY).to_string());
    }
}

//! The running host: handles what must happen on the main thread, and shuts everything down in an order that loses
//! nothing.

use std::{net::TcpListener, path::PathBuf, sync::Arc, time::Duration};

use shared::BoxError;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc},
    task::{JoinError, JoinHandle, JoinSet},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    act,
    restart::{Carried, Restart},
    settings_reload::SettingsReload,
    signals::Signals,
    tasks,
};
use crate::{
    actions::Action,
    config::{Lock, Switches},
    database::{Database, Handle},
    events::{Event, Phase},
    generation::Absence,
    keep::Keeping,
    reload::{Notifiers, RestartNeeded, retire},
    services::Services,
};

/// All running tasks, and what must outlive them.
pub(crate) struct Running {
    pub(crate) services: Services,
    pub(crate) reloading: JoinHandle<Result<RestartNeeded, BoxError>>,
    /// Returns how many connections it had to cut off.
    pub(crate) serving: JoinHandle<usize>,
    /// The terminal. It prints what was reported, restores the terminal, and ends with the events.
    pub(crate) printing: JoinHandle<()>,
    /// Bookkeeping. It runs until the very end.
    pub(crate) background: JoinSet<()>,
    pub(crate) actions_rx: mpsc::UnboundedReceiver<Action>,
    pub(crate) notifiers: Notifiers,
    /// The user wants the host to end.
    pub(crate) end: Arc<Notify>,
    pub(crate) settings_reload: SettingsReload,
    pub(crate) stop: CancellationToken,
    pub(crate) keeping: Keeping,
    pub(crate) retiring: TaskTracker,
    pub(crate) drain: Duration,
    pub(crate) carried: Carried,
    pub(crate) executable: PathBuf,
    pub(crate) listener: TcpListener,
    /// Dropping it stops the server, so it goes after everything that uses the database.
    pub(crate) database: Database,
    /// Released last.
    pub(crate) lock: Lock,
}

/// A deletion counts as finished when nothing was deleted for this long.
const CLEAN_QUIET_PERIOD: Duration = Duration::from_millis(500);

/// Pause between attempts to restart a private cluster that has ended.
const REVIVAL_PAUSE: Duration = Duration::from_millis(300);

/// How long the terminal may take for its last lines: it counts backends for one of a reload.
const LAST_LINES_LIMIT: Duration = Duration::from_secs(1);

/// In messages.
const RELOADING: &str = "the reload loop";

/// Why the host stops serving.
pub(crate) enum End {
    /// By a signal or a key.
    Requested,
    /// It cannot continue.
    Failed(BoxError),
    /// The reload loop has ended: the host's binary has changed, old code uses too much memory, or files can no longer
    /// be watched.
    Reload(Result<Result<RestartNeeded, BoxError>, JoinError>),
    /// The user has switched the mode.
    Switched(Switches),
}

impl Running {
    /// Starts the database and runs the main loop until something ends the host. Runs on the main thread, since the
    /// private cluster is tied to it.
    pub(crate) async fn supervise(&mut self, signals: &mut Signals) -> End {
        let mut children = match signal(SignalKind::child()) {
            Ok(children) => children,
            Err(error) => return End::Failed(error.into()),
        };
        let (end, notifiers) = (self.end.clone(), self.notifiers.clone());
        let (rebuild, settings) = (&notifiers.rebuild, &notifiers.settings);
        let cleaned = &notifiers.cleaned;
        tokio::select! {
            started = self.database.start(&self.services.project, &self.services.database.access) => if let Err(error) = started {
                return End::Failed(error);
            },
            signal = signals.or(&end) => return self.stop_requested(signal),
        }
        loop {
            // Dropped half-way if the host must end.
            let supervise = async {
                tokio::select! {
                    // Usually a compiler; sometimes the cluster, if it was killed.
                    _ = children.recv() => revive(&mut self.database, &self.services).await,
                    () = tokio::time::sleep(REVIVAL_PAUSE), if self.database.has_ended() => {
                        revive(&mut self.database, &self.services).await;
                    }
                    () = cleaned.notified() => {
                        // `git clean` deletes one file after another: creating new ones meanwhile would make it fail.
                        while timeout(CLEAN_QUIET_PERIOD, cleaned.notified()).await.is_ok() {}
                        let address = self.listener.local_addr().map_err(BoxError::from);
                        let announced = address.and_then(|address| Ok(self.lock.announce_again(address)?));
                        if let Some(endpoint) = &self.services.database.endpoint {
                            endpoint.restore();
                        }
                        if let Err(error) = announced {
                            self.services.events.emit(Event::NotAnnounced { message: error.to_string() });
                        }
                        revive(&mut self.database, &self.services).await;
                    }
                    saves = settings.next() => {
                        let changed = self.settings_reload.reload(&mut self.database).await;
                        // A failed restart of the host or start of the app may have been caused by a setting.
                        if changed || self.services.report.borrow().phase == Phase::LoadFailed {
                            rebuild.notify_one();
                        }
                        settings.set_applied(saves);
                    }
                    Some(action) = self.actions_rx.recv() => match action {
                        Action::Rebuild => rebuild.notify_one(),
                        Action::Tests => self.services.tests_on.send_modify(|on| *on = !*on),
                        Action::NewPool => act::new_pool(&self.services).await,
                        // The app may have failed for want of tables, which it needs to compile or to start.
                        Action::Migrate => {
                            let phase = self.services.report.borrow().phase;
                            let fails = matches!(phase, Phase::BuildFailed | Phase::LoadFailed);
                            if act::migrate(&self.services).await && fails {
                                rebuild.notify_one();
                            }
                        }
                        Action::Mode { pool, isolation } => {
                            match self.settings_reload.check_switch() {
                                Ok(()) => return Some((pool, isolation)),
                                Err(error) => self.services.events.emit(Event::CannotRestart { message: error.to_string() }),
                            }
                        }
                    },
                }
                None
            };
            tokio::select! {
                signal = signals.or(&end) => return self.stop_requested(signal),
                ended = &mut self.reloading => return End::Reload(ended),
                switched = supervise => if let Some(switches) = switched {
                    return End::Switched(switches);
                }
            }
        }
    }

    /// Shuts everything down. Returns how to restart, if the host is to be replaced.
    pub(crate) async fn shut_down(
        mut self,
        end: End,
        signals: &mut Signals,
    ) -> Result<Option<Restart>, BoxError> {
        let end_requested = self.end.clone();
        let impatient = tokio::select! {
            () = self.stop_serving() => false,
            signal = signals.or(&end_requested) => {
                self.services.events.emit(Event::Stopped { signal });
                true
            }
        };
        tasks::end(RELOADING, &mut self.reloading).await; // not yet done if the wait was skipped
        tasks::end_all("bookkeeping", &mut self.background).await;
        self.end_printing().await;
        // An error of the reload loop ends the host in an orderly way and becomes the result of `host dev`.
        let (why, switched) = match end {
            End::Requested => return Ok(None),
            End::Failed(error) => return Err(error),
            End::Reload(ended) => {
                let RestartNeeded { outgrown } = ended??;
                let changed = || "the host has changed".to_owned();
                (
                    outgrown.map_or_else(changed, |images| images.to_string()),
                    None,
                )
            }
            End::Switched(switches) => ("the mode has changed".to_owned(), Some(switches)),
        };
        // Ctrl-C or `q` during a restart quits instead.
        if impatient {
            return Ok(None);
        }
        Ok(Some(self.restart(why, switched)))
    }

    fn stop_requested(&self, signal: &'static str) -> End {
        self.services.events.emit(Event::Stopping { signal });
        End::Requested
    }

    /// Lets the terminal print what was reported, and waits until it has given the terminal back: the next image of
    /// this process takes it.
    async fn end_printing(&mut self) {
        self.services.events.close();
        drop(timeout(LAST_LINES_LIMIT, &mut self.printing).await);
        tasks::end("the terminal", &mut self.printing).await;
    }

    async fn stop_serving(&mut self) {
        self.services.database.schema.end().await;
        // Gone before the active generation is taken: it must not make another one active afterwards.
        tasks::end(RELOADING, &mut self.reloading).await;
        match self.services.generations.active() {
            Some(active) => active.end_streams(),
            // Answer requests that wait for the first generation: it will not come.
            None => self.services.generations.set_absent(Absence::Stopping),
        }
        self.stop.cancel();
        let (generations, drain) = (self.services.generations.clone(), self.drain);
        let give_up = async {
            tokio::time::sleep(drain).await;
            for request in generations
                .active()
                .iter()
                .flat_map(|active| active.cut_off())
            {
                self.services.events.emit(Event::CutOff { request });
            }
            std::future::pending().await
        };
        let served = tokio::select! {
            served = &mut self.serving => served,
            never = give_up => never,
        };
        match served {
            Ok(0) => {}
            Ok(connections) => self.services.events.emit(Event::ConnectionsCutOff {
                connections,
                after: self.drain,
            }),
            Err(error) => tracing::error!("serving: {error}"),
        }
        if let Some(active) = self.services.generations.take() {
            retire(&self.services.generations, active, self.drain).await;
        }
        self.retiring.close();
        self.retiring.wait().await;
        self.keeping.end().await;
        let database = &self.services.database;
        database.db.close().await;
        if let Some(endpoint) = &database.endpoint {
            endpoint.close().await;
        }
    }

    fn restart(self, why: String, switched: Option<Switches>) -> Restart {
        // In another mode the cluster may need another `max_connections`, so the next image restarts it.
        if switched.is_none() {
            self.database.keep_running();
        } else {
            drop(self.database);
        }
        drop(self.lock);
        let reloads = self.services.report.borrow().reloads;
        let (_, generations) = self.services.generations.snapshots();
        let last_id = generations
            .last()
            .map_or(self.carried.last_id, |generation| generation.id);
        Restart {
            root: self.services.project.root().to_owned(),
            executable: self.executable,
            listener: self.listener,
            carried: Carried {
                last_id,
                reloads,
                restarts: self.carried.restarts + 1,
                why: Some(why),
                mode: switched.or(self.carried.mode),
                tests: Some(*self.services.tests_on.borrow()),
            },
        }
    }
}

/// Restarts the private cluster if necessary, and migrates it if it is empty.
async fn revive(database: &mut Database, services: &Services) {
    let (project, events) = (&services.project, &services.events);
    let Handle { access, schema, .. } = &services.database;
    if database.revive(project, access, events).await {
        schema.sync().await;
    }
}

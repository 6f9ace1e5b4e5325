//! The host while it runs: tends what is tied to the main thread, and ends everything in the order in which nothing
//! is lost.

use std::{net::TcpListener, path::PathBuf, sync::Arc, time::Duration};

use shared::{BoxError, Db};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc, watch},
    task::{JoinError, JoinHandle},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    access::Access,
    actions::{self, Action},
    database::Database,
    follow::Follow,
    mode::Switches,
    project::{Lock, Project},
    schema::Schema,
    terminal::{keys::Keys, line},
};
use crate::{
    generation::{Absence, Generations},
    reload::{Phase, Report, RestartNeeded, retire},
    restart::{Carried, Restart},
    signals::Signals,
};

/// Everything that runs, and what must outlive it.
pub(super) struct Running {
    pub(super) reloading: JoinHandle<Result<RestartNeeded, BoxError>>,
    pub(super) access: Arc<Access>,
    /// Returns how many connections it had to cut off.
    pub(super) serving: JoinHandle<usize>,
    /// Tell what happens until the very end. Aborted then.
    pub(super) onlookers: Vec<JoinHandle<()>>,
    /// Gives the terminal back when dropped: before the next image takes it.
    pub(super) keys: Option<Keys>,
    pub(super) asked: mpsc::UnboundedReceiver<Action>,
    pub(super) bells: Bells,
    pub(super) follow: Follow,
    pub(super) stop: CancellationToken,
    pub(super) generations: Arc<Generations>,
    pub(super) retiring: TaskTracker,
    pub(super) db: Db,
    pub(super) drain: Duration,
    pub(super) reported: watch::Receiver<Report>,
    pub(super) project: Project,
    pub(super) carried: Carried,
    pub(super) executable: PathBuf,
    pub(super) listener: TcpListener,
    /// Its server stops when this is dropped, after all that used it.
    pub(super) database: Database,
    /// Released last.
    pub(super) lock: Lock,
}

/// What is rung from elsewhere and heard by the main loop, or the other way round.
#[derive(Default)]
pub(super) struct Bells {
    /// For the end.
    pub(super) end: Arc<Notify>,
    /// `.env` was saved.
    pub(super) settings_saved: Arc<Notify>,
    /// `.dev`, or something in it, was deleted.
    pub(super) cleaned: Arc<Notify>,
    /// For a build without a save.
    pub(super) rebuild: Arc<Notify>,
}

/// Nothing more is being deleted when nothing was for this long.
const CLEANED: Duration = Duration::from_millis(500);

/// How often a private cluster that has ended is started again.
const REVIVAL_PAUSE: Duration = Duration::from_millis(300);

/// Why the host stops serving.
pub(super) enum End {
    /// By a signal or a key.
    Asked,
    /// It cannot go on.
    Failed(BoxError),
    /// The loop has ended: the host has changed on disk or keeps too much old code, or saves can no longer be followed.
    Reload(Result<Result<RestartNeeded, BoxError>, JoinError>),
    /// A person has turned the switches.
    Switched(Switches),
}

fn asked_by(signal: &str) -> End {
    line(format_args!(
        "{signal}: finishing open requests; repeat it to stop now"
    ));
    End::Asked
}

impl Running {
    /// Starts the database, and tends what runs until something ends it. On the main thread, which the private cluster
    /// is tied to.
    pub(super) async fn tend(&mut self, signals: &mut Signals) -> End {
        let mut children = match signal(SignalKind::child()) {
            Ok(children) => children,
            Err(error) => return End::Failed(error.into()),
        };
        let Bells {
            end,
            settings_saved,
            cleaned,
            rebuild,
        } = &self.bells;
        tokio::select! {
            started = self.database.start(&self.access) => if let Err(error) = started {
                return End::Failed(error);
            },
            signal = signals.or(end) => return asked_by(signal),
        }
        loop {
            // Given up half-way when the end comes first.
            let tend = async {
                tokio::select! {
                    // A compiler as a rule; the cluster, when somebody killed it.
                    _ = children.recv() => revive(&mut self.database, &self.access, &self.follow.schema).await,
                    () = tokio::time::sleep(REVIVAL_PAUSE), if self.database.has_ended() => {
                        revive(&mut self.database, &self.access, &self.follow.schema).await;
                    }
                    () = cleaned.notified() => {
                        // `git clean` deletes one thing after another, and must find nothing new among them.
                        while timeout(CLEANED, cleaned.notified()).await.is_ok() {}
                        let address = self.listener.local_addr().map_err(BoxError::from);
                        let announced = address.and_then(|address| Ok(self.lock.announce_again(address)?));
                        if let Err(error) = announced {
                            line(format_args!("✗ .dev was deleted and cannot be made again: {error}"));
                        }
                        revive(&mut self.database, &self.access, &self.follow.schema).await;
                    }
                    () = settings_saved.notified() => {
                        let changed = self.follow.follow(&self.project, &mut self.database).await;
                        // What was refused may have been so for a setting: the host's restart, or the app's start.
                        if changed || self.reported.borrow().phase == Phase::LoadFailed {
                            rebuild.notify_one();
                        }
                    }
                    Some(action) = self.asked.recv() => match action {
                        Action::Rebuild => rebuild.notify_one(),
                        Action::NewPool => actions::new_pool(&self.follow).await,
                        Action::Migrate => actions::migrate(&self.follow.schema).await,
                        Action::Mode { pool, isolation } => {
                            match self.follow.settings_are_fine(&self.project) {
                                Ok(()) => return Some((pool, isolation)),
                                Err(error) => line(format_args!("✗ cannot restart: {error}")),
                            }
                        }
                    },
                }
                None
            };
            tokio::select! {
                signal = signals.or(end) => return asked_by(signal),
                ended = &mut self.reloading => return End::Reload(ended),
                switched = tend => if let Some(switches) = switched {
                    return End::Switched(switches);
                }
            }
        }
    }

    /// Takes everything apart, and says how to go on if the host is to be replaced.
    pub(super) async fn finish(
        mut self,
        end: End,
        signals: &mut Signals,
    ) -> Result<Option<Restart>, BoxError> {
        let bell = self.bells.end.clone();
        let hurried = tokio::select! {
            () = self.wind_down() => false,
            signal = signals.or(&bell) => {
                line(format_args!("{signal}: stopped"));
                true
            }
        };
        self.reloading.abort(); // for whoever was in a hurry
        for onlooker in &self.onlookers {
            onlooker.abort();
        }
        drop(self.keys.take());
        // An error of the reload loop ends the host, orderly, and is what `host dev` reports.
        let (why, switched) = match end {
            End::Asked => return Ok(None),
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
        // A person who asked for the end during a restart means the end.
        if hurried {
            return Ok(None);
        }
        Ok(Some(self.restart(why, switched)))
    }

    async fn wind_down(&mut self) {
        self.follow.schema.end().await;
        self.reloading.abort();
        match self.generations.active() {
            Some(active) => active.end_streams(),
            // Requests that wait for the first generation get their answer: it does not come any more.
            None => self.generations.set_absent(Absence::Stopping),
        }
        self.stop.cancel();
        let (generations, drain) = (self.generations.clone(), self.drain);
        let give_up = async {
            tokio::time::sleep(drain).await;
            for request in generations
                .active()
                .iter()
                .flat_map(|active| active.cut_off())
            {
                line(format_args!("cut off at the drain limit: {request}"));
            }
            std::future::pending().await
        };
        let served = tokio::select! {
            served = &mut self.serving => served,
            never = give_up => never,
        };
        match served {
            Ok(0) => {}
            Ok(cut) => line(format_args!(
                "{cut} connections cut off after {} ms (DRAIN_TIMEOUT_MS)",
                self.drain.as_millis()
            )),
            Err(error) => tracing::error!("serving: {error}"),
        }
        if let Some(active) = self.generations.take() {
            retire(&self.generations, active, self.drain).await;
        }
        self.retiring.close();
        self.retiring.wait().await;
        self.db.close().await;
    }

    fn restart(self, why: String, switched: Option<Switches>) -> Restart {
        // With other switches the cluster may need another limit of connections: the next image starts it anew.
        if switched.is_none() {
            self.database.keep_running();
        } else {
            drop(self.database);
        }
        drop(self.lock);
        let reloads = self.reported.borrow().reloads;
        let (_, generations) = self.generations.snapshots();
        let last_id = generations
            .last()
            .map_or(self.carried.last_id, |generation| generation.id);
        Restart {
            root: self.project.root().to_owned(),
            executable: self.executable,
            listener: self.listener,
            carried: Carried {
                last_id,
                reloads,
                restarts: self.carried.restarts + 1,
                why: Some(why),
                mode: switched.or(self.carried.mode),
            },
        }
    }
}

/// The private cluster runs, and has the schema that the app needs.
async fn revive(database: &mut Database, access: &Access, schema: &Schema) {
    if database.revive(access).await {
        schema.follow().await;
    }
}

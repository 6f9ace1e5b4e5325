//! Whether the database is usable, as far as the host knows.
//!
//! Two tasks write it: the main loop, which owns the private cluster, and the [`probe`](super::probe). Everything else
//! reads.

use tokio::sync::{Notify, watch};

/// The current state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AccessState {
    pub(crate) cluster: ClusterState,
    pub(crate) server: ServerState,
}

/// The private cluster. With `DATABASE_URL` it is always ready: the host does not manage that server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClusterState {
    #[default]
    Ready,
    Starting,
    /// The start is slow. Holds what it waits for.
    Slow(String),
    /// It has ended and does not start again. Holds the reason.
    Ended(String),
}

/// The server behind the URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ServerState {
    /// No failure is known.
    #[default]
    Up,
    /// A connection was lost or refused; the probe is checking.
    Suspect,
    /// It accepts no connections. Holds the reason.
    Down(String),
    /// It neither takes a connection nor refuses one: statements wait for it without end.
    Silent,
}

impl AccessState {
    /// Whether a statement may fail because there is no server.
    pub(crate) fn is_broken(&self) -> bool {
        self.server != ServerState::Up || matches!(self.cluster, ClusterState::Ended(_))
    }
}

#[derive(Default)]
pub(crate) struct Access {
    state: watch::Sender<AccessState>,
    /// Wakes the probe when a connection attempt has failed.
    pub(crate) suspected: Notify,
}

impl Access {
    pub(crate) fn state(&self) -> watch::Receiver<AccessState> {
        self.state.subscribe()
    }

    pub(crate) fn set_cluster(&self, cluster: ClusterState) {
        self.change(|state| state.cluster = cluster);
    }

    pub(crate) fn set_server(&self, server: ServerState) {
        self.change(|state| state.server = server);
    }

    /// Reports a failed connection attempt outside the pool, which the probe would not see otherwise.
    pub(crate) fn report_failure(&self) {
        self.suspect();
        self.suspected.notify_one();
    }

    pub(crate) fn suspect(&self) {
        self.change(|state| {
            if state.server == ServerState::Up {
                state.server = ServerState::Suspect;
            }
        });
    }

    /// Waits until the private cluster has started.
    pub(crate) async fn until_started(&self) {
        let starting = |state: &AccessState| {
            matches!(
                state.cluster,
                ClusterState::Starting | ClusterState::Slow(_)
            )
        };
        self.wait(|state| !starting(state)).await;
    }

    /// Waits until no failure of the server is known.
    pub(crate) async fn until_usable(&self) {
        self.wait(|state| !state.is_broken()).await;
    }

    async fn wait(&self, wanted: impl Fn(&AccessState) -> bool) {
        let mut state = self.state();
        let waited = state.wait_for(|state| wanted(state)).await;
        waited.expect("the sender is in `self`");
    }

    fn change(&self, change: impl FnOnce(&mut AccessState)) {
        self.state.send_if_modified(|state| {
            let before = state.clone();
            change(state);
            *state != before
        });
    }
}

//! Whether the database can be used, as far as the host has found out.
//!
//! Two look: the main loop, which owns the private cluster, and the [`probe`](super::probe). Everybody else reads.

use tokio::sync::{Notify, watch};

/// The state now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) cluster: Cluster,
    pub(crate) server: Server,
}

/// The private cluster. With `DATABASE_URL` it is always ready: that server is somebody else's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cluster {
    #[default]
    Ready,
    Starting,
    /// The start takes long. What it waits for.
    Slow(String),
    /// It has ended and does not start again. Why.
    Ended(String),
}

/// The server behind the URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Server {
    /// Nothing is known against it.
    #[default]
    Fine,
    /// A connection was lost or refused; the probe is finding out.
    Doubtful,
    /// It takes no connection. Why.
    Down(String),
}

impl State {
    /// Whether a statement may fail for want of a server.
    pub(crate) fn is_broken(&self) -> bool {
        self.server != Server::Fine || matches!(self.cluster, Cluster::Ended(_))
    }
}

#[derive(Default)]
pub(crate) struct Access {
    state: watch::Sender<State>,
    /// Rings when somebody could not connect.
    pub(super) doubted: Notify,
}

impl Access {
    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(crate) fn cluster_is(&self, cluster: Cluster) {
        self.change(|state| state.cluster = cluster);
    }

    pub(super) fn server_is(&self, server: Server) {
        self.change(|state| state.server = server);
    }

    /// Somebody could not connect, beside the pool.
    pub(crate) fn doubt(&self) {
        self.begin_doubt();
        self.doubted.notify_one();
    }

    pub(super) fn begin_doubt(&self) {
        self.change(|state| {
            if state.server == Server::Fine {
                state.server = Server::Doubtful;
            }
        });
    }

    /// Waits for the private cluster's start.
    pub(crate) async fn started(&self) {
        let starting =
            |state: &State| matches!(state.cluster, Cluster::Starting | Cluster::Slow(_));
        self.wait(|state| !starting(state)).await;
    }

    /// Waits until nothing is known against the server.
    pub(crate) async fn fine(&self) {
        self.wait(|state| !state.is_broken()).await;
    }

    async fn wait(&self, wanted: impl Fn(&State) -> bool) {
        let mut state = self.state();
        let waited = state.wait_for(|state| wanted(state)).await;
        waited.expect("the sender is in `self`");
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_if_modified(|state| {
            let before = state.clone();
            change(state);
            *state != before
        });
    }
}

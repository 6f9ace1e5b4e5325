//! The clients, for display.

use serde::Serialize;

use crate::{client::Home, effects::Left, exchange::Exchange};

/// A client, for display.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientStatus {
    /// Counts clients.
    pub id: u32,
    /// Its `application_name`.
    pub name: String,
    /// What it has said, in units: statements, or several that were sent as one.
    pub units: u64,
    /// It waits for the one backend.
    pub waits: bool,
    /// Only it may use the backend now.
    pub holds: bool,
    /// Why it has a backend of its own, if so.
    pub keeps: Option<&'static str>,
}

impl Exchange {
    /// The clients, in the order in which they came. The `Db` of this process is not among them.
    #[must_use]
    pub fn clients(&self) -> Vec<ClientStatus> {
        let state = self.0.lock();
        let core = &state.core;
        let mut ids: Vec<_> = core.clients.keys().copied().collect();
        ids.sort();
        let holders: Vec<_> = core
            .backends
            .values()
            .map(|backend| backend.holder)
            .collect();
        ids.into_iter()
            .filter_map(|id| Some((id, core.clients.get(&id)?)))
            .filter(|(id, _)| core.local != Some(*id))
            .map(|(id, client)| ClientStatus {
                id: id.0,
                name: client.name.clone(),
                units: client.units,
                waits: core.queue.contains(&id) || client.home == Home::Moving,
                holds: client.home == Home::Shared && holders.contains(&Some(id)),
                keeps: match client.home {
                    Home::Own(_) => client.left.map(Left::name),
                    _ => None,
                },
            })
            .collect()
    }
}

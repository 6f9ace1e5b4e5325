//! Channels of LISTEN and NOTIFY. The session listens, and each client gets what it has asked for.

use crate::{
    backend::{Backend, BackendId},
    client::{Client, ClientId, Home},
    core::Core,
    effects::Listen,
    flight::Owner,
    unit::Unit,
};

/// Takes back only the channels that nobody else listens to: they are the session's, and not the client's.
pub(crate) fn unlisten(backend: &mut Backend, id: ClientId, off: &Listen, unit: &Unit) {
    let mut channels = backend.channels_of(id);
    if let Listen::Off(channel) = off {
        channels.retain(|of| of == channel);
    }
    channels.retain(|channel| backend.is_last_listener(id, channel));
    // One statement for its answer, which names none if the session is to stay as it is.
    let first = channels.pop();
    let sql = format!(
        "UNLISTEN {}",
        identifier(first.as_deref().unwrap_or("host_wire_none"))
    );
    backend.query(Owner::Client(id), &sql);
    backend.will_do(&unit.effects);
    backend.say_of("UNLISTEN", &channels);
}

/// A statement among others takes channels back for all of the session. What comes between is lost.
pub(crate) fn listen_again_but_for(backend: &mut Backend, id: ClientId) {
    let listening = backend.listening.iter();
    let others = listening.filter(|(_, by)| by.iter().any(|other| *other != id));
    let again: Vec<String> = others.map(|(channel, _)| channel.clone()).collect();
    backend.say_of("LISTEN", &again);
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Core {
    /// A new backend takes the place of one that is gone: what clients listen to is said again.
    pub(crate) fn listen_again(&mut self, id: BackendId) {
        let Some(backend) = self.backends.get_mut(&id) else {
            return;
        };
        let mut all = Vec::new();
        let shares = |(_, client): &(&ClientId, &Client)| client.home == Home::Shared;
        for (of, client) in self.clients.iter().filter(shares) {
            for channel in &client.channels {
                let by = backend.listening.entry(channel.clone());
                by.or_default().insert(*of);
                all.push(channel.clone());
            }
        }
        backend.say_of("LISTEN", &all);
    }
}

impl Backend {
    /// `LISTEN` or `UNLISTEN`, for the exchange itself.
    pub(crate) fn say_of(&mut self, verb: &str, channels: &[String]) {
        if channels.is_empty() {
            return;
        }
        let each = channels
            .iter()
            .map(|channel| format!("{verb} {}", identifier(channel)));
        self.query(Owner::Cleaning, &each.collect::<Vec<_>>().join("; "));
    }

    pub(crate) fn channels_of(&self, id: ClientId) -> Vec<String> {
        let all = self.listening.iter();
        let own = all.filter(|(_, by)| by.contains(&id));
        own.map(|(channel, _)| channel.clone()).collect()
    }

    pub(crate) fn is_last_listener(&self, id: ClientId, channel: &str) -> bool {
        let by = self.listening.get(channel);
        by.is_some_and(|by| by.len() == 1 && by.contains(&id))
    }

    /// From this channel, or from all.
    pub(crate) fn stop_listening(&mut self, id: ClientId, channel: Option<&str>) {
        self.listening.retain(|of, by| {
            if channel.is_none_or(|channel| of == channel) {
                by.remove(&id);
            }
            !by.is_empty()
        });
    }
}

//! Channels of LISTEN and NOTIFY. The session listens, and each client gets what it has asked for.

use crate::{
    backend::Backend,
    client::Home,
    core::Core,
    effects::Listen,
    flight::{Chore, Owner},
    frame::Frame,
    ids::{BackendId, ClientId},
    reply::Refusal,
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

/// Notifications that a client has not read. Above this it is cut off, since nothing else bounds them.
const MAX_UNREAD: usize = 16 << 20;

impl Core {
    /// Gives a client a notification.
    pub(crate) fn notify(&mut self, id: ClientId, frame: &Frame) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        if client.out.is_empty() {
            client.unread = 0;
        }
        client.unread += frame.len();
        if client.unread.min(client.out.len()) > MAX_UNREAD {
            let what = format!(
                "it has not read its notifications, of which more than {} MiB wait",
                MAX_UNREAD >> 20
            );
            let why = Refusal::new("53400", what);
            self.refuse(id, &why.with_hint("read them, or UNLISTEN the channels"));
        } else {
            self.tell(id, frame.bytes());
        }
    }

    /// The channels that clients listen to on no backend of their own.
    pub(crate) fn listened(&self) -> impl Iterator<Item = (ClientId, &String)> {
        self.clients.iter().flat_map(|(&of, client)| {
            let own = match client.home {
                Home::Own(own) => self.backends.get(&own),
                _ => None,
            };
            let is_own = move |channel| own.is_some_and(|own| own.has_listener(of, channel));
            let others = client
                .channels
                .iter()
                .filter(move |channel| !is_own(channel));
            others.map(move |channel| (of, channel))
        })
    }

    /// Whether a client that says nothing needs the shared backend all the same.
    pub(crate) fn is_listened_to(&self) -> bool {
        self.listened().next().is_some()
    }

    /// A new backend takes the place of one that is gone or kept: what clients listen to is said again.
    pub(crate) fn listen_again(&mut self, id: BackendId) {
        let all: Vec<_> = self
            .listened()
            .map(|(of, channel)| (of, channel.clone()))
            .collect();
        if let Some(backend) = self.backends.get_mut(&id) {
            for (of, channel) in &all {
                backend.start_listening(*of, channel);
            }
            let channels: Vec<String> = all.into_iter().map(|(_, channel)| channel).collect();
            backend.say_for(Owner::Listening, "LISTEN", &channels);
        }
    }

    /// The new backend listens: one that is kept goes on for its own client only.
    pub(crate) fn listens_again(&mut self) {
        let shared = self.shared;
        for (id, backend) in &mut self.backends {
            if let Some(holder) = backend.holder.filter(|_| shared != Some(*id)) {
                backend.listening.retain(|_, by| {
                    by.retain(|of| *of == holder);
                    !by.is_empty()
                });
            }
        }
    }

    /// A client no longer listens to this channel, or to any, on other backends than `but`.
    pub(crate) fn stop_listening_elsewhere(
        &mut self,
        of: ClientId,
        but: Option<BackendId>,
        channel: Option<&str>,
    ) {
        let shared = self.shared;
        for (id, backend) in &mut self.backends {
            if Some(*id) == but {
                continue;
            }
            let mut off = backend.channels_of(of);
            off.retain(|of| channel.is_none_or(|channel| channel == of));
            backend.stop_listening(of, channel);
            if shared == Some(*id) && !off.is_empty() {
                backend.chores.push_back(Chore::Channels(off));
            }
        }
    }

    /// The client has changed what it listens to, with a statement on this backend.
    pub(crate) fn listens(&mut self, id: BackendId, of: ClientId, change: &Listen) {
        let (Some(client), Some(backend)) = (self.clients.get_mut(&of), self.backends.get_mut(&id))
        else {
            return;
        };
        let off = match change {
            Listen::On(channel) => return self.listens_to(id, of, channel),
            Listen::Off(channel) => {
                client.channels.remove(channel);
                Some(&**channel)
            }
            Listen::AllOff => {
                client.channels.clear();
                None
            }
        };
        backend.stop_listening(of, off);
        self.stop_listening_elsewhere(of, Some(id), off);
    }

    /// Unless it does so on the shared one already, and has moved since.
    fn listens_to(&mut self, id: BackendId, of: ClientId, channel: &str) {
        let listens = |id| {
            let backend = self.backends.get(&id);
            backend.is_some_and(|backend: &Backend| backend.has_listener(of, channel))
        };
        let is_heard = self.shared.is_some_and(listens);
        if let Some(client) = self.clients.get_mut(&of) {
            client.channels.insert(channel.to_owned());
        }
        if let Some(backend) = self.backends.get_mut(&id).filter(|_| !is_heard) {
            backend.start_listening(of, channel);
        }
    }
}

impl Backend {
    /// `LISTEN` or `UNLISTEN`, for the exchange itself.
    pub(crate) fn say_of(&mut self, verb: &str, channels: &[String]) {
        self.say_for(Owner::Cleaning, verb, channels);
    }

    fn say_for(&mut self, owner: Owner, verb: &str, channels: &[String]) {
        if channels.is_empty() {
            return;
        }
        let each = channels
            .iter()
            .map(|channel| format!("{verb} {}", identifier(channel)));
        self.query(owner, &each.collect::<Vec<_>>().join("; "));
    }

    fn has_listener(&self, id: ClientId, channel: &str) -> bool {
        self.listening
            .get(channel)
            .is_some_and(|by| by.contains(&id))
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

    fn start_listening(&mut self, id: ClientId, channel: &str) {
        let by = self.listening.entry(channel.to_owned());
        by.or_default().insert(id);
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

//! A new client: it is told the parameters of its session, and may ask from then on.

use std::collections::HashMap;

use crate::{
    client::Stage,
    core::Core,
    flight::Owner,
    ids::{BackendId, ClientId},
    message::put_texts,
    reply::{put_authenticated, put_key, put_ready},
};

impl Core {
    /// Sends a client its parameters, once the session has the settings that it has asked for.
    pub(crate) fn greet(&mut self, id: BackendId, new: ClientId) {
        let (Some(backend), Some(client)) =
            (self.backends.get_mut(&id), self.clients.get_mut(&new))
        else {
            return;
        };
        client.settings.retain_other_than(&backend.parameters);
        client.startup = client.settings.clone();
        if client.settings.is_empty() {
            let parameters = backend.parameters.clone();
            self.welcome(new, &parameters);
            return;
        }
        backend.apply(Owner::Greeting(new), &client.settings);
    }

    /// The client may ask from now on.
    pub(crate) fn welcome(&mut self, id: ClientId, parameters: &HashMap<String, String>) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        client.stage = Stage::Ready;
        let out = &mut client.out;
        put_authenticated(out);
        for (name, value) in parameters {
            let value = match name.as_str() {
                "application_name" => &client.name,
                _ => value,
            };
            put_texts(b'S', &[name, value], out);
        }
        put_key(client.key, out);
        put_ready(b'I', out);
        self.written.insert(id);
        self.requeue(id);
    }
}

//! A server in miniature, for a test: whatever clients say and whenever they leave, each is answered as on a connection
//! of its own.

use std::collections::{HashMap, HashSet};

use bytes::BytesMut;
use proptest::prelude::*;

use crate::{
    backend::Backend,
    core::Core,
    frame,
    ids::{BackendId, ClientId},
};

mod said;
mod session;

use said::{Said, said};
use session::Session;

#[derive(Clone, Copy, Debug)]
enum Step {
    Say(usize, Said),
    /// The server reads so many bytes.
    Serve(usize),
    Leave(usize),
}

/// The core, with a server behind it and the clients before it.
struct World {
    core: Core,
    backend: BackendId,
    server: Session,
    wire: BytesMut,
    clients: Vec<(ClientId, Session, BytesMut)>,
    gone: HashSet<usize>,
    /// Has named a statement, and not been answered.
    named: Vec<bool>,
}

impl World {
    fn new(clients: usize) -> Self {
        let named = vec![false; clients];
        let mut core = Core::default();
        let (backend, _) = core.attach(Backend::new(HashMap::new()), false).unwrap();
        let clients = (0..clients)
            .map(|_| {
                let id = core.join("a client".to_owned(), 0, Vec::new());
                core.out_of(id).unwrap().clear(); // its greeting
                (id, Session::default(), BytesMut::new())
            })
            .collect();
        let (server, wire, gone) = (Session::default(), BytesMut::new(), HashSet::new());
        Self {
            core,
            backend,
            server,
            wire,
            clients,
            gone,
            named,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Say(of, said) if !self.gone.contains(&of) => {
                let (id, alone, received) = &mut self.clients[of];
                // No driver names a statement and prepares it afterwards, without a wait for an answer in between.
                self.named[of] &= alone.sent != *received || !alone.buffered.is_empty();
                match said {
                    Said::Parse(..) if self.named[of] => return,
                    Said::Bind(_) | Said::Close(_) => self.named[of] = true,
                    _ => {}
                }
                let mut bytes = BytesMut::new();
                said.put(of, &mut bytes);
                alone.hear(&mut bytes.clone());
                let frame = frame::next(&mut bytes).unwrap().unwrap();
                self.core.say(*id, frame);
                self.core.pump_client(*id);
            }
            Step::Leave(of) if self.gone.insert(of) => self.core.leave(self.clients[of].0),
            Step::Serve(length) => self.serve(length),
            _ => {}
        }
        for (of, (id, ..)) in self.clients.iter().enumerate() {
            if !self.core.clients.contains_key(id) {
                self.gone.insert(of); // it has broken the protocol, or its settings are no longer allowed
            }
        }
        assert!(!self.server.is_dead, "the backend of all has ended");
        self.wire.unsplit(
            self.core
                .backends
                .get_mut(&self.backend)
                .unwrap()
                .out
                .split(),
        );
    }

    fn serve(&mut self, length: usize) {
        let length = length.min(self.wire.len());
        let mut rest = self.wire.split_off(length);
        // Whole messages only: what is cut off stays.
        self.server.hear(&mut self.wire);
        self.wire.unsplit(rest.split());
        while let Some(frame) = frame::next(&mut self.server.sent).unwrap() {
            self.core.hear(self.backend, &frame).unwrap();
        }
        for (id, _, received) in &mut self.clients {
            if let Some(out) = self.core.out_of(*id) {
                received.extend_from_slice(&out.split());
            }
        }
    }

    fn settle(&mut self) {
        loop {
            self.step(Step::Serve(usize::MAX));
            if self.wire.is_empty() {
                return;
            }
        }
    }
}

/// A unit that fails had prepared nothing, and the one behind it, sent before that was known, has.
#[test]
fn a_statement_prepared_again_behind_a_failure_is_there_and_is_taken_back() {
    let mut world = World::new(2);
    let prepare = Said::Parse("a", "SELECT 1");
    for said in [Said::Execute, prepare, Said::Sync, prepare, Said::Flush] {
        world.step(Step::Say(0, said));
    }
    world.settle();
    world.step(Step::Say(0, Said::Sync));
    world.settle();
    for said in [Said::Bind("a"), Said::Execute, Said::Sync] {
        world.step(Step::Say(0, said));
    }
    world.settle();
    let (_, alone, received) = &world.clients[0];
    assert_eq!(received, &alone.sent);
    assert_eq!(world.server.statements.len(), 1);
    world.step(Step::Leave(0));
    world.settle();
    assert!(world.server.statements.is_empty());
}

/// # Errors
///
/// What differs from sessions of their own.
fn each_is_answered(steps: impl IntoIterator<Item = Step>) -> Result<(), TestCaseError> {
    let mut world = World::new(3);
    for step in steps {
        world.step(step);
        for (of, (_, alone, received)) in world.clients.iter().enumerate() {
            prop_assert!(
                world.gone.contains(&of) || alone.sent.starts_with(received),
                "{:?} is no part of {:?}",
                received,
                alone.sent
            );
        }
    }
    world.settle();
    // The clients leave in turn, so that one that holds the backend lets go of it and the others are answered.
    for of in 0..3 {
        for (of, (_, alone, received)) in world.clients.iter().enumerate() {
            let holder = world.core.backends[&world.backend].holder.is_some();
            let gone = world.gone.contains(&of);
            prop_assert!(
                holder || gone || !alone.is_dead,
                "{of} has broken the protocol"
            );
            prop_assert!(
                holder || gone || received == &alone.sent,
                "{of} waits for nothing"
            );
        }
        world.step(Step::Leave(of));
        world.settle();
    }
    prop_assert!(
        world.core.queue.is_empty() && world.core.backends[&world.backend].flight.is_empty()
    );
    let left: Vec<_> = world
        .server
        .statements
        .keys()
        .filter(|name| !name.is_empty())
        .collect();
    prop_assert!(
        left.is_empty() && !world.server.in_transaction,
        "{:?}",
        left
    );
    Ok(())
}

/// What the property has found of clients that do not bind and execute in one go.
#[test]
fn a_copy_is_known_wherever_its_portal_is_executed() {
    use Said::{Bind, Execute, Parse, Query, Sync};
    let copy = Parse("a", "COPY a FROM STDIN");
    let later = [
        Query("BEGIN"),
        copy,
        Bind("a"),
        Sync,
        Execute,
        Bind(""),
        Execute,
    ];
    // Another Parse of the name is refused: it is still the COPY's.
    let renamed = [copy, Parse("a", "SELECT 1"), Sync, Bind("a"), Execute];
    for said in [&later[..], &renamed] {
        let steps = said.iter().map(|said| Step::Say(0, *said));
        each_is_answered(steps).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_client_is_answered_as_if_it_were_alone(steps in prop::collection::vec(
        prop_oneof![
            12 => (0..3_usize, said()).prop_map(|(of, said)| Step::Say(of, said)),
            6 => (0..200_usize).prop_map(Step::Serve),
            1 => (0..3_usize).prop_map(Step::Leave),
        ],
        1..80,
    )) {
        each_is_answered(steps)?;
    }
}

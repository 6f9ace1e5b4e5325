//! The stream of events: every subscriber gets each, and a late one those that are remembered. Nobody waits.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc;

use super::Event;

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
